import re
from dataclasses import replace

import numpy as np
import pytest

from leaq.reporting.drawing import svg
from leaq.reporting.figures import attacks, decade, drawn_attacks, lambda_k, roc, tradeoff
from leaq.reporting.html import TEMPLATES, render
from leaq.reporting.labels import place_labels
from leaq.reporting.look import COLOURS
from tests.helpers import require
from tests.results import NASTY, attack, cell, nasty, row


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
    placed = [text for text in layers(tradeoff(same), "text") if text["data"]["values"][0]["label"] == "full precision"]
    assert (placed[0]["mark"]["align"], placed[0]["mark"]["dx"]) == ("left", 10), "the first place beside it"


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


def test_labels_cover_neither_points_nor_each_other(rng):
    points = [{"x": x, "y": y, "label": f"quantizer {i}"} for i, (x, y) in enumerate(rng.random((25, 2)))]
    named = place_labels(points, ((0, 1), (0, 1)), (500, 400))
    boxes = []
    for point, (align, dx, dy) in named:
        width = 6.3 * len(point["label"])
        left = point["x"] * 500 + dx - {"left": 0, "center": width / 2, "right": width}[align]
        top = 400 - point["y"] * 400 + dy - 7
        boxes.append((left, top, left + width, top + 14))
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        for point in points:
            x, y = point["x"] * 500, 400 - point["y"] * 400
            assert not (a[0] < x < a[2] and a[1] < y < a[3])


def test_crowded_points_are_left_to_hovering():
    crowd = [{"x": 0.5, "y": 0.5 + i / 1e4, "label": "a long name of a quantizer"} for i in range(40)]
    assert 0 < len(place_labels(crowd, ((0, 1), (0, 1)), (300, 300))) < 40


def test_a_drawing_holds_shapes_and_text_only():
    require("vl_convert")
    drawn = svg(tradeoff(nasty()), name="x", label=f"about {NASTY}")
    assert "<script" not in drawn
    assert "&lt;script&gt;" in drawn
    assert " on" not in drawn.replace(" on ", "").split(">")[0]
    assert "var(--ink)" in drawn
    assert not any(colour in drawn for colour in COLOURS.values())


def test_a_foreign_element_is_refused(monkeypatch):
    bad = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"><foreignObject/></svg>'
    monkeypatch.setattr("leaq.reporting.drawing.draw", lambda _: bad)
    with pytest.raises(ValueError, match="shapes and text only, found <foreignObject>"):
        svg({}, name="x", label="x")


def palettes():
    """The light and the dark palette of the report's style sheet."""
    css = (TEMPLATES / "report.css").read_text()
    light = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", css.split("@media")[0]))
    dark = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", css.split(':root[data-theme="dark"] {')[1].split("}")[0]))
    return light, dark


def contrast(a, b):
    """Contrast of two colours (WCAG 2.2, relative luminance)."""

    def luminance(colour):
        channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_and_marks_stand_out_from_the_page(theme):
    colours = palettes()[theme]
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    for name in ("ink", "muted", "accent"):
        assert contrast(colours[name], colours["paper"]) >= 4.5, name
        assert contrast(colours[name], colours["accent-wash"]) >= 4.5, name
    for name in ("second", "third"):
        assert contrast(colours[name], colours["paper"]) >= 3, name


def test_figures_and_page_agree_on_the_names_of_colours():
    light, dark = palettes()
    assert set(COLOURS) <= set(light)
    assert set(light) == set(dark)
    assert all(light[name] == value for name, value in COLOURS.items())
