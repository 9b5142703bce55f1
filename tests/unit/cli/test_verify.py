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
    store = Store.open(tmp_path / "run", AuditConfig(source="wine"))
    store.save(KEY, cell())
    store.write_table()
    return store.folder


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_whole_folder_passes(folder):
    result = run("verify", folder)
    assert result.exit_code == 0
    assert "files checked, 0 damaged." in result.stdout
    assert json.loads(run("verify", folder, "--json").stdout)["whole"] is True


def test_one_changed_digit_is_named_and_fails(folder):
    path = folder / "cells" / f"{KEY}.json"
    path.write_text(path.read_text().replace("0.85", "0.86", 1))
    result = run("verify", folder)
    assert result.exit_code == 1
    assert "DAMAGED" in result.stdout
    assert KEY in result.stdout
    found = json.loads(run("verify", folder, "--json").stdout)
    assert found["whole"] is False
    assert KEY in found["damaged"][0]["file"]


def test_options_of_a_card_are_refused_for_a_folder(folder, tmp_path):
    (tmp_path / "key.pub").write_text("key")
    result = run("verify", folder, "--key", tmp_path / "key.pub")
    assert result.exit_code == 2
    assert "--key, --source and --device are for a card" in " ".join(result.stderr.split())


@pytest.fixture
def folder_of_clean(tmp_path):
    store = Store.open(tmp_path / "run", AuditConfig(source="/home/ada/x.csv", target="y"))
    store.save(KEY, cell())
    store.write_table()
    return store.folder


def test_what_would_go_is_said_and_nothing_goes(folder_of_clean):
    before = sorted(folder_of_clean.rglob("*"))
    result = run("clean", folder_of_clean, "--dry-run")
    assert result.exit_code == 0
    assert result.stderr.startswith("Would remove ")
    assert sorted(folder_of_clean.rglob("*")) == before


def test_risks_go_and_results_stay(folder_of_clean):
    assert "/home/ada" in (folder_of_clean / "config.json").read_text()
    assert Store(folder_of_clean).with_risks()
    asked = json.loads(run("clean", folder_of_clean, "--dry-run", "--json").stdout)
    done = json.loads(run("clean", folder_of_clean, "--json").stdout)
    assert (asked["dry_run"], done["dry_run"]) == (True, False)
    assert done["files"] == asked["files"] > 0
    assert not list((folder_of_clean / "private").glob("*"))
    assert len(Store(folder_of_clean).finished()) == 1
    assert "/home/ada" not in (folder_of_clean / "config.json").read_text()


def test_what_is_no_run_folder_is_refused(tmp_path):
    result = run("clean", tmp_path / "absent")
    assert result.exit_code == 2
