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
    assert "--key and --source are for a card" in " ".join(result.stderr.split())
