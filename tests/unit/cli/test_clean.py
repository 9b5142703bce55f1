import json

import pytest
from typer.testing import CliRunner

from leaq.cli.main import app
from leaq.pipeline import AuditConfig
from leaq.study import Store
from tests.results import cell

KEY = "toy-0123456789abcdef-fedcba9876543210"


@pytest.fixture
def folder(tmp_path):
    store = Store.open(tmp_path / "run", AuditConfig(source="/home/ada/x.csv", target="y"))
    store.save(KEY, cell())
    store.write_table()
    return store.folder


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_what_would_go_is_said_and_nothing_goes(folder):
    before = sorted(folder.rglob("*"))
    result = run("clean", folder, "--dry-run")
    assert result.exit_code == 0
    assert result.stderr.startswith("Would remove ")
    assert sorted(folder.rglob("*")) == before


def test_risks_go_and_results_stay(folder):
    assert "/home/ada" in (folder / "config.json").read_text()
    assert Store(folder).with_risks()
    asked = json.loads(run("clean", folder, "--dry-run", "--json").stdout)
    done = json.loads(run("clean", folder, "--json").stdout)
    assert (asked["dry_run"], done["dry_run"]) == (True, False)
    assert done["files"] == asked["files"] > 0
    assert not list((folder / "private").glob("*"))
    assert len(Store(folder).finished()) == 1
    assert "/home/ada" not in (folder / "config.json").read_text()


def test_what_is_no_run_folder_is_refused(tmp_path):
    result = run("clean", tmp_path / "absent")
    assert result.exit_code == 2
