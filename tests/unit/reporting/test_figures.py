from dataclasses import replace

import numpy as np
import pytest

from leaq.reporting.drawing import COLOURS
from leaq.reporting.figures import attacks, decade, drawn_attacks, lambda_k, roc, tradeoff
from leaq.reporting.html import render
from leaq.types import NotComputed
from tests.helpers import require
from tests.results import attack, cell, row


def values(figure, at):
    return figure["layer"][at]["data"]["values"]


def layers(figure, mark):
    return [layer for layer in figure["layer"] if layer["mark"]["type"] == mark]


def test_tradeoff_holds_every_row_with_both_intervals():
    (points,) = layers(tradeoff(cell()), "point")
    found = {item["key"]: item for item in points["data"]["values"]}
    assert set(found) == {item.quantizer for item in cell().rows}
    sign = found["sign"]
    np.testing.assert_allclose([sign["x"], sign["x_low"], sign["x_high"]], [0.03, 0.028, 0.032])
    np.testing.assert_allclose([sign["y"], sign["y_low"], sign["y_high"]], [0.05, 0.03, 0.07])


def test_tradeoff_marks_front_reference_and_useless_rows():
    (points,) = layers(tradeoff(cell()), "point")
    found = {item["key"]: item for item in points["data"]["values"]}
    assert found["none"]["shape"] == "square"
    assert found["ternary(sparsity=0.9)"]["shape"] == "cross"
    assert found["sign"]["fill"] == COLOURS["accent"]
    assert found["ternary(sparsity=0.9)"]["fill"] == COLOURS["paper"]
    assert points["data"]["values"][-1]["key"] == "none", "drawn last, on top"


def test_the_square_bears_the_name_of_full_precision_whatever_lies_under_it():
    same = cell(row("uniform(bits=8)", "8-bit", 0.3, 0.0), row("none", "full precision", 0.3, 0.0))
    (placed,) = layers(tradeoff(same), "text")
    assert placed["data"]["values"][0]["label"] == "full precision, 8-bit"
    assert (placed["mark"]["align"], placed["mark"]["dx"]) == ("left", 8), "the first place that no line goes through"


def test_no_point_lies_outside_the_axes():
    figure = tradeoff(cell())
    (points,) = layers(figure, "point")
    for axis in ("x", "y"):
        low, high = points["encoding"][axis]["scale"]["domain"]
        assert all(low < item[axis] < high for item in points["data"]["values"])


def test_roc_axes_are_logarithmic_and_zero_is_left_out():
    figure = roc(cell(), cell().rows[0])
    drawn = values(figure, 1)
    assert all(item["fpr"] > 0 and item["tpr"] > 0 for item in drawn)
    assert figure["layer"][1]["encoding"]["x"]["scale"]["type"] == "log"
    assert len(drawn) <= 3 * 70


def test_a_thinned_roc_curve_never_rises_above_the_whole_one():
    fine = np.geomspace(1e-4, 1, 5000)
    dense = attack("threshold", 0.1)
    object.__setattr__(dense, "roc", np.stack([np.r_[0, fine], np.r_[0, np.sqrt(fine)]]))
    full = row("none", "full precision", 0.1)
    full = replace(full, attacks={**full.attacks, "threshold": dense})
    drawn = [item for item in values(roc(cell(full), full), 1) if item["attack"] == "Loss threshold"]
    assert len(drawn) <= 70
    assert all(item["tpr"] <= np.sqrt(item["fpr"]) * 1.001 for item in drawn)


def test_lambda_has_its_band():
    band, line = lambda_k(cell().rows[0])["layer"]
    assert band["mark"]["type"] == "area"
    assert [item["high"] for item in band["data"]["values"]] == [1.0, 0.8, 0.6]
    assert [item["y"] for item in line["data"]["values"]] == [1.0, 0.5, 0.2]


def test_figures_show_the_leading_attack_and_leave_the_rest_to_the_table():
    full = row("none", "full precision", 0.3)
    more = ("rmia", "whitebox", "quantile", "calibrated", "lira(mode=offline)", "zeta")
    full = replace(full, attacks={**full.attacks, **{name: attack(name, 0.1) for name in more}})
    result = cell(full, primary_attack="zeta")
    drawn = drawn_attacks(result)
    assert len(drawn) == 5
    assert {"zeta", "threshold", "lira(shadows=full_precision)"} <= set(drawn)
    assert len({item["attack"] for item in values(attacks(result), 1)}) == 5
    require("jinja2"), require("vl_convert")
    assert "Not drawn, but in the table:" in render(result)


@pytest.mark.parametrize(("value", "power"), [(0.001, -3), (0.0099, -3), (1.0, 0), (250, 2)])
def test_decades(value, power):
    assert decade(value) == power


def test_plot_of_a_result_is_a_chart_that_can_be_saved():
    for module in ("altair", "vl_convert"):
        require(module)
    import vl_convert

    chart = cell().plot(width=300)
    assert chart.to_dict()["width"] == 300
    assert "<svg" in vl_convert.vegalite_to_svg(chart.to_dict())


def test_plot_without_altair_names_the_extra(monkeypatch):
    import sys

    from leaq.errors import MissingExtra

    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(MissingExtra, match="leaq.report."):
        cell().plot()


def test_a_curve_is_grey_where_the_table_refuses_numbers():
    """The toy gives a rate at 1 % false positives and refuses it at 0.1 %."""
    shown = cell()
    grey, drawn = [one["data"]["values"] for one in roc(shown, shown.rows[0])["layer"][1:]]
    for name in ("LiRA", "Loss threshold"):
        left = [point["fpr"] for point in grey if point["attack"] == name]
        right = [point["fpr"] for point in drawn if point["attack"] == name]
        assert left[:-1] == [fpr for fpr in left if fpr < 0.01]
        assert min(right) >= 0.01
        assert left[-1] == right[0], "they meet"
    refused = replace(shown.rows[0].attacks["lira"], tpr={0.01: NotComputed("too few")})
    only = replace(shown.rows[0], attacks={"lira": refused})
    assert [p["fpr"] for p in roc(shown, only)["layer"][2]["data"]["values"]] == [1.0]


def test_what_was_not_run_is_not_said_to_be_in_the_table():
    require("jinja2"), require("vl_convert")
    full = row("none", "full precision", 0.3)
    full = replace(full, attacks={**full.attacks, "quantile": NotComputed("needs features")})
    assert "Not drawn" not in render(cell(full))
