from html.parser import HTMLParser

from tests.helpers import require
from tests.results import NASTY, cell, nasty


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
