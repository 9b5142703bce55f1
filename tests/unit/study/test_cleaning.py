import pytest
from typer.testing import CliRunner

from leaq.cli.main import app
from leaq.errors import InvalidInput
from leaq.study import Store
from leaq.study.cleaning import EXPOSED, clean, holdings
from leaq.study.failures import Failures
from tests.unit.study.cells import cell, row
from tests.unit.study.small import small

KEY = "wine-0123456789abcdef-fedcba9876543210"


@pytest.fixture
def run(tmp_path):
    study = small()
    store = Store.open(tmp_path / "run", study)
    store.save(KEY, cell([row("none", 0.5, 0.9), row("sign", 0.05, 0.9)]))
    store.write_table()
    (store.folder / "chunks" / "other").mkdir()
    (store.folder / "chunks" / "other" / "models-0-2.npz").write_bytes(b"losses")
    (store.folder / "cells" / "x.damaged").write_text("{")
    (store.folder / "cells" / ".y.json-tmp1").write_text("{")
    (store.folder / "notes.txt").write_text("mine")
    (store.folder / EXPOSED).write_text("<svg")
    Failures(store.folder / "failed").record(study.cells()[0], "wine", ValueError("row 3"))
    return store.folder


def test_clean_keeps_what_may_be_shared_and_what_is_not_ours(run):
    kept = {"config.json", "results.csv", f"{KEY}.json", f"{KEY}.timings.json", "notes.txt"}
    removed = clean(run, dry_run=True)
    assert removed.files == 6
    assert (run / "private" / f"{KEY}.json").exists()
    assert clean(run) == removed
    assert {path.name for path in run.rglob("*") if path.is_file()} == kept
    assert len(Store(run).finished()) == 1
    assert clean(run).files == 0


def test_what_is_sensitive_is_said(run):
    shared = {one.place: one.shareable for one in holdings(run)}
    assert shared == {
        "config.json": True, "results.csv": True, "cells": True, "private": False, "chunks": False, "failed": False,
        "exposed.html": False, "set aside": False, "other": False,
    }  # fmt: skip
    output = CliRunner().invoke(app, ["show", str(run), "--what"]).output
    assert "SENSITIVE      chunks" in output
    assert "may be shared  cells" in output


def test_a_run_in_use_is_left_alone(run):
    claim = Store(run).claim(KEY)
    with pytest.raises(InvalidInput, match="must not be in use"):
        clean(run)
    claim.release()
    assert clean(run).files > 0


def test_no_run_folder(tmp_path):
    with pytest.raises(InvalidInput, match="is no run folder"):
        clean(tmp_path)
