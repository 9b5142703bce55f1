import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from leaq.errors import InvalidInput, StoreError
from leaq.reporting.html import check_place, minus, render, write_report
from leaq.types import Estimate, NotComputed
from tests.helpers import require
from tests.results import NASTY, cell, nasty, row

pytestmark = pytest.mark.usefixtures("drawing")


@pytest.fixture
def drawing():
    for module in ("jinja2", "vl_convert"):
        require(module)


class Page(HTMLParser):
    """Collects elements, ids and the text outside scripts and styles."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.ids, self.links, self.text, self._raw = [], [], [], [], None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href", "action", "poster", "data", "srcset"):
                self.links.append(value)
        self._raw = tag if tag in ("script", "style") else self._raw

    def handle_endtag(self, tag):
        self._raw = None if tag == self._raw else self._raw

    def handle_data(self, data):
        if self._raw is None:
            self.text.append(data)


@pytest.fixture(scope="module")
def html():
    return render(cell())


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_the_file_asks_for_nothing_outside_itself(html, page):
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert "default-src 'none'" in html
    assert not re.search(r"@import|url\(\s*['\"]?(?!#)", html)
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|eval|import)\s*\(", html)


def test_ids_are_unique_and_every_anchor_leads_somewhere(html, page):
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    for target in re.findall(r"url\(#([^)]+)\)", html):
        assert target in page.ids


def test_first_screen_holds_question_verdict_picture_and_budget(html, page):
    text = " ".join(page.text)
    assert "Which quantizer gives away least about who was in" in text
    assert "Sign more than halves the leak (0.30 to 0.05) for at most 0.033 ROC-AUC." in text
    assert 'type="range"' in html
    assert html.index('type="range"') < html.index('id="ranking"')
    assert html.index("<svg") < html.index('id="ranking"')


def test_all_parts_are_there(page):
    for part in ("verdict", "ranking", "attacks", "indicators", "method", "reproduce"):
        assert part in page.ids
    text = " ".join(page.text)
    for words in ("What the numbers mean", "What they do not mean", "When not to trust them", "Who attacks"):
        assert words in text
    assert "leaq audit toy.csv --target y" in text


def test_shareable_edition_names_no_record_and_no_folder(html):
    assert "Exposed records" not in html
    assert "/home/ada" not in html
    assert "secret" not in html


def test_internal_edition_names_the_most_exposed_records():
    found = render(cell(), "internal")
    assert "Exposed records" in found
    assert "do not pass this section on" in found
    assert re.search(r'<tr data-key="129">', found)


def test_every_string_is_escaped():
    html = render(nasty(), "internal")
    assert NASTY not in html
    assert html.count("<script") == 2, "the page's own script, and its data"
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_same_result_same_bytes():
    assert render(cell()) == render(cell())


def test_write_report_is_whole_or_absent(tmp_path):
    path = write_report(cell(), tmp_path / "r.html")
    assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert (path.stat().st_mode & 0o777) == 0o644
    assert [item.name for item in tmp_path.iterdir()] == ["r.html"]


def test_internal_reports_are_for_their_owner(tmp_path):
    path = write_report(cell(), tmp_path / "r.html", "internal")
    assert (path.stat().st_mode & 0o777) == 0o600


def test_nothing_to_report_is_refused():
    with pytest.raises(InvalidInput, match="needs at least one result"):
        render([])


def test_unknown_edition_is_refused():
    with pytest.raises(InvalidInput, match="edition must be 'shareable' or 'internal'. Found 'public'"):
        render(cell(), "public")


def test_unwritable_place_is_refused_before_the_work(tmp_path):
    with pytest.raises(StoreError, match="must exist"):
        check_place(tmp_path / "none" / "r.html")
    with pytest.raises(StoreError, match="could not be written"):
        write_report(cell(), tmp_path / "none" / "r.html")


def test_minus_signs_are_set_for_numbers_only():
    assert minus("-0.1 [-2e-05, -∞] r-order 2-bit") == "−0.1 [−2e−05, −∞] r-order 2-bit"


def bare(spec, label):
    """A row of which next to nothing could be computed."""
    missing = NotComputed("needs shadow models")
    return replace(
        row(spec, label, 0.1),
        metrics={},
        drops={},
        measures={"r": missing},
        attacks={"lira": missing},
        curves={},
    )


def test_a_result_with_next_to_nothing_in_it_is_still_a_page():
    page = Page(render(cell(bare("none", "full precision"), bare("sign", "sign"))))
    text = " ".join(page.text)
    assert "Nothing can be said about the leak." in text
    assert "needs shadow models" in text
    assert "Take" not in text.split()


def test_only_a_loss_threshold_is_enough_for_a_page():
    rows = [
        replace(item, attacks={"threshold": item.attacks["threshold"], "lira": NotComputed("needs 8 models")})
        for item in cell().rows
    ]
    text = " ".join(Page(render(cell(*rows, primary_attack="threshold"))).text)
    assert "Within a loss of 0.01 ROC-AUC, take 8-bit" in text
    assert "needs 8 models" in text


def test_infinite_rates_are_drawn_as_words():
    sure = row("sign", "sign", 0.1)
    sure.measures["r"] = Estimate(np.inf, 0.1, np.inf, 20)
    assert "∞" in " ".join(Page(render(cell(row("none", "full precision", 0.3), sure))).text)


def test_a_study_with_bare_audits_is_still_a_page():
    found = render([cell(), cell(bare("none", "full precision"), name="empty")])
    assert "empty" in " ".join(Page(found).text)


def test_a_study_of_many_audits_lists_some_and_says_so(monkeypatch):
    monkeypatch.setattr("leaq.decisions.evidence.LISTED", 3)
    cells = [
        cell(row("none", "full precision", 0.1 * at), row("sign", "sign", 0.05), name=f"set{at}") for at in range(1, 6)
    ]
    page = render(cells)
    assert "study of 5 audits" in page
    assert "Drawn and listed one by one are the 3 audits with the largest leak in full precision" in page
    assert page.count('class="audit-details"') == 3


def test_a_notebook_shows_the_first_screen_of_the_page_table_and_doubts():
    require("vl_convert")
    html = cell()._repr_html_()
    assert "<b>Within a loss of 0.01 ROC-AUC, take 8-bit" in html
    assert html.count("<tr>") == 6
    assert html.index("take 8-bit") < html.index("<svg") < html.index("<table"), "as on the first screen of the page"
    assert "Biases stay in full precision." in html


def test_a_notebook_without_the_drawing_library_has_no_picture(monkeypatch):
    monkeypatch.setattr("leaq.reporting.html.find_spec", lambda _name: None)
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
