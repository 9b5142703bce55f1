from html.parser import HTMLParser

import pytest

from tests.helpers import require
from tests.results import NASTY, cell, nasty


def test_a_result_prints_as_a_table_with_its_reading():
    printed = str(cell())
    assert printed.startswith("toy: quantizers by what they give away")
    assert "sign leaks least" in printed


def test_its_repr_is_one_short_line():
    line = repr(cell())
    assert line.startswith("CellResult('toy', 5 quantizers, least leak: ternary 90% sparse Estimate(0.01 [")
    assert len(line) < 160
    assert len(repr(cell().rows[0].attacks["threshold"])) < 1200


def test_an_empty_result_has_a_repr():
    assert repr(cell(rows=())) == "CellResult('toy', 0 quantizers)"
    assert cell(rows=())._repr_html_() == "<p>CellResult(&#x27;toy&#x27;, 0 quantizers)</p>"


def test_a_notebook_shows_the_first_screen_of_the_page_table_and_doubts():
    require("vl_convert")
    html = cell()._repr_html_()
    assert "<b>Within a loss of 0.01 ROC-AUC, take 8-bit" in html
    assert html.count("<tr>") == 6
    assert html.index("take 8-bit") < html.index("<svg") < html.index("<table"), "as on the first screen of the page"
    assert "Biases stay in full precision." in html


def test_a_notebook_without_the_drawing_library_has_no_picture(monkeypatch):
    monkeypatch.setattr("leaq.reporting.notebook.find_spec", lambda _name: None)
    html = cell()._repr_html_()
    assert "<svg" not in html
    assert "take 8-bit" in html


def test_a_notebook_is_safe_from_names_that_are_markup():
    seen = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, _: seen.append(tag)
    parser.feed(nasty()._repr_html_())
    assert "script" not in seen
    assert NASTY not in nasty()._repr_html_()


def test_frame_of_a_result_is_the_tidy_table():
    frame = cell().frame()
    assert set(frame["quantizer"]) == {row.quantizer for row in cell().rows}


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
