from dataclasses import replace

import numpy as np
import pytest

from leaq.decisions import evidence
from leaq.decisions.evidence import collected, comparable, in_order, listed, number, over_data_sets
from leaq.decisions.standing import leak
from tests.unit.study.cells import cell, row

SPECS = ("none", "sign")


def audited(value, **options):
    return cell([row("none", 0.5 + value, 0.9), row("sign", 0.2 + value, 0.8)], **options)


def test_numbers_of_the_cells_that_hold_them_for_every_quantizer():
    found = collected([audited(0.0, data="a"), audited(0.1, data="b"), cell([row("none", 0.9, 0.9)])], leak, SPECS)
    np.testing.assert_allclose(found.values, [[0.5, 0.2], [0.6, 0.3]])
    assert found.clusters == ("a", "b")
    assert found.only(np.array([False, True])).quantizers == ("sign",)
    assert collected([cell([row("none", 0.9, 0.9)])], leak, SPECS) is None


def test_data_sets_count_once_however_many_cells_they_have():
    cells = [audited(0.0, data="a"), audited(0.0, data="a"), audited(0.3, data="b")]
    np.testing.assert_allclose(collected(cells, leak, SPECS).means, [0.65, 0.35])


def test_with_few_data_sets_the_cells_own_errors_are_drawn_and_with_many_their_differences():
    few = collected([audited(0.0, data="a")], leak, SPECS)
    drawn = few.draws(4000)
    assert abs(drawn.std(0)[0] - 0.01 / 1.96) < 0.001  # the cell's own interval is +- 0.01
    many = collected([audited(0.1 * i, data=str(i)) for i in range(6)], leak, SPECS)
    assert many.draws(4000).std(0)[0] > 0.05


def test_one_data_set_has_no_spread_to_judge_by():
    one, several = over_data_sets([0.1, 0.2], ["a", "a"]), over_data_sets([0.1, 0.2, np.nan, 0.4], ["a", "a", "b", "c"])
    assert (one.value, one.low, one.n) == (pytest.approx(0.15), -np.inf, 1)
    assert several.value == pytest.approx((0.15 + 0.4) / 2)
    assert several.n == 2
    assert over_data_sets([np.nan], ["a"]) is None


def test_any_number_of_a_row_can_be_read():
    one = audited(0.0)
    assert number("metrics", "roc_auc")(one, one.rows[0]).value == 0.9
    assert number("measures", "absent")(one, one.rows[0]) is None


def test_cells_are_ordered_by_what_they_are_and_the_leakiest_are_listed(monkeypatch):
    cells = [audited(0.3, data="b"), audited(0.1, data="c"), audited(0.2, data="a")]
    assert [one.data["name"] for one in in_order(cells)] == ["a", "b", "c"]
    assert listed(cells) == cells
    monkeypatch.setattr(evidence, "LISTED", 2)
    assert [one.data["name"] for one in listed(cells)] == ["b", "a"]


def test_only_what_means_the_same_is_averaged():
    """A finished model's loss threshold was averaged with combined attacks, under their name."""
    strong, weak = audited(0.0), replace(audited(0.1, data="w"), primary_attack="threshold")
    other = audited(0.2, task="regression")
    assert comparable([strong, weak, other]) == {
        "classification (lira)": [strong], "classification (threshold)": [weak], "regression": [other],
    }  # fmt: skip
    released = replace(strong, data={**strong.data, "game": "released"})
    assert list(comparable([strong, released])) == ["classification"]
    calibrated = replace(strong, data={**strong.data, "game": "calibration"})
    assert list(comparable([strong, calibrated])) == ["classification (calibration)", "classification (pool)"]
