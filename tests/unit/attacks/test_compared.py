from dataclasses import replace

import numpy as np
import pytest

from leaq.attacks.compared import with_comparison
from leaq.attacks.scoring import Attack, Resampling, attack_result
from leaq.results import CellResult
from leaq.types import Flag
from tests.attack_tables import planted
from tests.results import cell, row

SPECS = ("none", "fine", "sign")


def audited(rng, noise=(0.0, 0.0, 1.5), *, models=8, n=300, draws=200):
    """An audit whose rows are one signal with more and more noise: the same models, the same records."""
    table = planted(rng, models=models, n=n, leak=1.0)
    signal = table.scores - table.scores.mean(0)
    rows = []
    for spec, more in zip(SPECS, noise, strict=True):
        scores = signal + more * rng.normal(size=signal.shape)
        attack = Attack("lira", "sees the test")
        found = attack_result(attack, table, scores, targets=range(models), resampling=Resampling(draws=draws))
        rows.append(replace(row(spec, spec, 0.1), attacks={"lira": found}))
    return cell(*rows)


def by_spec(result):
    return {item.quantizer: item for item in result.rows}


def test_equal_rows_differ_by_nothing_and_a_worse_attack_by_something(rng):
    rows = by_spec(with_comparison(audited(rng)))
    nothing = rows["fine"].measures["leak_vs_full"]
    assert (nothing.value, nothing.low, nothing.high) == (0, 0, 0)
    assert rows["sign"].measures["leak_vs_full"].high < 0
    assert rows["sign"].measures["leak_vs_least"].value == 0
    assert rows["none"].measures["leak_vs_least"].low > 0


def test_pairing_tells_apart_what_overlapping_intervals_do_not(rng):
    plain = audited(rng, noise=(0.0, 0.0, 0.6), n=400, models=16)
    paired = with_comparison(plain)
    full, _, sign = plain.rows
    assert not plain.told_apart(full, sign)
    assert paired.told_apart(full, sign)
    assert paired.told_apart(sign, full)


def test_the_comparison_survives_the_file(rng):
    result = with_comparison(audited(rng))
    again = CellResult.from_json(result.to_json())
    assert again.comparison == result.comparison
    assert again.told_apart(*again.rows[1:]) == result.told_apart(*result.rows[1:])
    assert again.rows[1].measures["leak_vs_full"] == result.rows[1].measures["leak_vs_full"]
    assert again.rows[0].attacks["lira"].crossed is None


def test_a_row_that_predicts_nothing_is_never_the_least(rng):
    plain = audited(rng)
    rows = (*plain.rows[:2], replace(plain.rows[2], flags=(Flag("no-skill", "Predicts nothing."),)))
    found = by_spec(with_comparison(replace(plain, rows=rows)))
    assert found["sign"].measures["leak_vs_least"].value < 0
    assert found["none"].measures["leak_vs_least"].value == 0


def test_rows_without_draws_are_left_as_they_are():
    result = cell()
    assert with_comparison(result) is result


@pytest.mark.slow
def test_k_equal_rows_are_told_apart_at_most_as_often_as_the_level_allows(rng):
    """Eight rows with the same leak; any two told apart is an error, whichever came first and last."""
    wrong = 0
    for _ in range(100):
        table = planted(rng, models=8, n=200)
        rows = []
        for name in "abcdefgh":
            scores = table.scores + rng.normal(size=table.scores.shape)
            attack = Attack("lira", "sees the test")
            found = attack_result(attack, table, scores, targets=range(8), resampling=Resampling(draws=100))
            rows.append(replace(row(name, name, 0.1), attacks={"lira": found}))
        result = with_comparison(cell(*rows))
        wrong += any(result.told_apart(a, b) for a in result.rows for b in result.rows if a is not b)
    assert wrong / 100 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 100)
