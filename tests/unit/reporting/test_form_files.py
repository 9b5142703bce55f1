import pytest
import yaml

from leaq.errors import InvalidInput
from leaq.reporting.card import privacy_card
from leaq.reporting.form import Auditor, fill_form
from leaq.reporting.form_files import read_card, write_form
from leaq.reporting.html import PAGE
from tests.results import NASTY, nasty
from tests.unit.reporting.test_form import NOW


@pytest.fixture
def written(tmp_path):
    form = fill_form(nasty(), "edpb", quantizer="sign", auditor=Auditor(NASTY, 0.1, NASTY), now=NOW)
    return form, write_form(form, tmp_path / "card.html")


def test_the_page_escapes_what_the_yaml_and_json_keep(written):
    _, (html, plain, meta) = written
    assert "<script>alert" not in html.read_text()
    assert read_card(html) == read_card(plain)
    found = yaml.safe_load(meta.read_text().strip("-\n"))["membership_privacy"]
    assert found["threshold"]["threshold"] == 0.1
    assert found["quantizer"] == "sign"
    assert "secret" not in html.read_text() + plain.read_text() + meta.read_text()


def test_what_is_no_card_is_refused(tmp_path):
    (tmp_path / "x.json").write_text("[1]")
    with pytest.raises(InvalidInput, match="must be a card"):
        read_card(tmp_path / "x.json")
    (tmp_path / "y.json").write_text('{"leaq_card": 99}')
    with pytest.raises(InvalidInput, match="written by a newer leaq"):
        read_card(tmp_path / "y.json")


def test_what_leaq_writes_beside_forms_is_named(written, tmp_path):
    """Of all these it said "another file"."""
    _, (_html, plain, meta) = written
    (tmp_path / "card.md").write_text(privacy_card(nasty()))
    (tmp_path / "report.html").write_text(f"<!doctype html>{PAGE}")
    plain.write_text(plain.read_text()[:-20])
    for path, said in (
        (tmp_path / "card.md", "Found a card in Markdown, whose numbers cannot be checked alone. Name the run folder"),
        (tmp_path / "report.html", "Found a report, whose numbers"),
        (plain, "Found one that was cut off or changed"),
        (meta, "Found its metadata. Name the JSON"),
    ):
        with pytest.raises(InvalidInput, match=said):
            read_card(path)
