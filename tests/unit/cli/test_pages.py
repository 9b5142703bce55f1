import json
import stat

import pytest
from typer.testing import CliRunner

from leaq.cli.main import app
from leaq.errors import StoreError
from leaq.pipeline.cell import AuditConfig
from leaq.study import Store
from tests.helpers import require
from tests.results import cell

KEY = "toy-0123456789abcdef-fedcba9876543210"


@pytest.fixture
def store(tmp_path):
    for module in ("jinja2", "vl_convert"):
        require(module)
    found = Store.open(tmp_path / "run", AuditConfig(source="wine"))
    found.save(KEY, cell())
    return found


def report(store, *words):
    return CliRunner().invoke(app, ["show", str(store.folder), *[str(word) for word in words]])


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_by_default_everything_written_can_be_passed_on(store, tmp_path):
    page = tmp_path / "x.html"
    result = report(store, "--report", page, "--exports", "--card", tmp_path / "x.md")
    assert result.exit_code == 0, result.output
    assert "Exposed records" not in page.read_text()
    assert '"risk": [' not in (tmp_path / "x.json").read_text()
    assert {mode(tmp_path / f"x.{ending}") for ending in ("html", "json", "csv", "md")} == {0o644}


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        ("t.csv", ("--report", "t.html", "--exports")),  # named as the table that was audited
        ("t.csv", ("--report", "t.csv")),
        ("README.md", ("--card", "README.md")),
        ("t.json", ("--profile", "edpb", "--report", "t.html")),
    ],
)
def test_a_file_of_the_users_is_not_written_over(store, tmp_path, theirs, words):
    (tmp_path / theirs).write_text("a,y\n1,0\n")
    result = report(store, *(tmp_path / word if "." in word else word for word in words))
    assert result.exit_code == 2
    assert "It is another file" in " ".join(result.stderr.split())
    assert {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()} == {theirs: "a,y\n1,0\n"}


def test_the_internal_edition_names_records_and_is_for_its_owner(store, tmp_path):
    page = tmp_path / "x.html"
    result = report(store, "--report", page, "--internal", "--exports")
    assert result.exit_code == 0, result.output
    assert "do not pass it on" in " ".join(result.stderr.split())
    assert '<tr data-key="129">' in page.read_text(), "the record with the largest risk, by row number"
    assert len(json.loads((tmp_path / "x.json").read_text())[0]["private"]["ids"]) == 30
    assert (mode(page), mode(tmp_path / "x.json"), mode(tmp_path / "x.csv")) == (0o600, 0o600, 0o644)


def test_an_internal_edition_is_never_written_over_a_readable_file_that_stays_readable(store, tmp_path):
    page = tmp_path / "x.html"
    report(store, "--report", page)
    report(store, "--report", page, "--internal")
    assert mode(page) == 0o600


def test_without_the_risks_there_is_no_internal_edition(store, tmp_path):
    assert CliRunner().invoke(app, ["clean", str(store.folder)]).exit_code == 0
    result = report(store, "--report", tmp_path / "x.html", "--internal")
    assert result.exit_code == 2
    assert "the folder was cleaned, or copied without it" in " ".join(result.stderr.split())
    assert not (tmp_path / "x.html").exists()
    assert report(store, "--report", tmp_path / "x.html").exit_code == 0


def test_damaged_risks_are_refused(store):
    (store.folder / "private" / f"{KEY}.json").write_text("[1, 2")
    with pytest.raises(StoreError, match="has no checksum. Run the same command again to make it anew"):
        store.with_risks()
