import pytest

from leaq.reporting.drawing import svg
from leaq.reporting.figures import tradeoff
from leaq.reporting.theme import COLOURS
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
