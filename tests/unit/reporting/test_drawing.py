import re

import numpy as np
import pytest

from leaq.reporting.drawing import COLOURS, svg
from leaq.reporting.figures import tradeoff
from leaq.reporting.html import TEMPLATES
from tests.helpers import require
from tests.results import NASTY, nasty


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
