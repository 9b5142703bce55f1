import os
import shutil
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from leaq.cli.main import app
from leaq.errors import InvalidInput
from leaq.study import Store, Study
from leaq.study.cleaning import EXPOSED, clean, holdings
from leaq.study.failures import Failures
from leaq.study.verifying import verify
from leaq.types import Flag
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
    kept = {"config.json", "results.csv", "index.json", f"{KEY}.json", f"{KEY}.timings.json", "notes.txt"}
    removed = clean(run, dry_run=True)
    assert removed.files == 7
    assert (run / "private" / f"{KEY}.json").exists()
    assert clean(run) == removed
    assert {path.name for path in run.rglob("*") if path.is_file()} == kept
    assert len(Store(run).finished()) == 1
    assert clean(run).files == 0


def test_what_is_sensitive_is_said(run):
    shared = {one.place: one.shareable for one in holdings(run)}
    assert shared == {
        "config.json": True, "results.csv": True, "index.json": True, "cells": True, "private": False, "chunks": False,
        "failed": False, "locks": False, "exposed.html": False, "set aside": False, "other": False,
    }  # fmt: skip
    output = CliRunner().invoke(app, ["show", str(run), "--what"]).output
    assert "SENSITIVE      chunks" in output
    assert "may be shared  cells" in output


def test_a_run_in_use_is_left_alone(run):
    lock = Store(run).lock(KEY)
    with pytest.raises(InvalidInput, match="must not be in use"):
        clean(run)
    lock.release()
    assert clean(run).files > 0


def test_no_run_folder(tmp_path):
    with pytest.raises(InvalidInput, match="is no run folder.*Name an --out folder"):
        clean(tmp_path)
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "config.json").write_text("{}")  # as leaq protect leaves
    with pytest.raises(InvalidInput, match=r"Found in it: .*audit\."):
        clean(tmp_path)


@pytest.fixture
def thesis(tmp_path):
    """A folder of somebody's, which a run folder from elsewhere may point to."""
    folder = tmp_path / "thesis"
    (folder / "deep").mkdir(parents=True)
    for name in ("thesis.docx", "deep/photo.jpg", ".hidden"):
        (folder / name).write_text("mine")
    return folder


@pytest.mark.parametrize("place", ["private", "failed", "chunks", "locks", "chunks/other", "elsewhere", EXPOSED])
def test_a_link_to_a_folder_is_removed_and_never_followed(run, thesis, place):
    if (run / place).is_file():
        (run / place).unlink()
    else:
        shutil.rmtree(run / place, ignore_errors=True)
    (run / place).symlink_to(thesis)
    removed = clean(run)
    assert {path.name for path in thesis.rglob("*") if path.is_file()} == {"thesis.docx", "photo.jpg", ".hidden"}
    ours = place != "elsewhere"
    assert (removed.links, (run / place).is_symlink()) == (int(ours), not ours)


def test_links_to_files_are_removed_and_their_targets_stay(run, thesis):
    (run / "private" / "x.json").symlink_to(thesis / "thesis.docx")
    (run / "locks" / "x").symlink_to(thesis / "thesis.docx")
    (run / "cells" / ".tmp").symlink_to(thesis / "nothing")
    assert clean(run).links == 3
    assert (thesis / "thesis.docx").read_text() == "mine"
    assert not os.path.lexists(run / "private" / "x.json")


def test_a_run_folder_may_be_named_through_a_link(run, tmp_path):
    (tmp_path / "latest").symlink_to(run)
    assert clean(tmp_path / "latest").files == 7


def test_a_dry_run_takes_no_lock(run, monkeypatch):
    monkeypatch.setattr("leaq.study.cleaning.Lock", None)
    assert clean(run, dry_run=True).files == 7


def test_cells_that_are_a_link_are_not_changed(run, thesis):
    (run / "cells").rename(thesis / "cells")
    (run / "cells").symlink_to(thesis / "cells")
    before = {path: path.read_bytes() for path in thesis.rglob("*.json")}
    with pytest.raises(InvalidInput, match="cells' must be a folder. It is a link"):
        clean(run)
    assert before
    assert {path: path.read_bytes() for path in thesis.rglob("*.json")} == before


SECRETS = ("ada_lovelace", "secret-project", "hiv_status", "ward_number", "patient_name", "(6, 18)", "CC(=O)Nc1ccc")


def test_nothing_of_the_source_stays_in_what_is_called_shareable(tmp_path):
    """Planted in every place a folder's, a user's or a column's name, a row number or a molecule can get into."""
    source = "/home/ada_lovelace/secret-project/cohort.csv"
    columns = {"target": "hiv_status", "ignore": ["ward_number"]}
    study = Study(data=({"source": source, **columns},), quantizers=("sign",), audit={"replicates": 4})
    store = Store.open(tmp_path / "run", study)
    flags = (
        Flag("dropped-rows", "2 rows (6, 18) with missing values were dropped (columns 'ward_number' (2))."),
        Flag("unused-columns", "Columns beside the SMILES are not used: patient_name."),
        Flag("heavy-tail", "The target 'hiv_status' is heavy-tailed."),
    )
    found = cell([row("none", 0.5, 0.9), row("sign", 0.05, 0.9)])
    config = study.cells()[0].to_dict()
    private = {"ids": [6, 18], "smiles": "CC(=O)Nc1ccc"}
    store.save(KEY, replace(found, config=config, flags=flags, private=private))
    Failures(store.folder / "failed").record(study.cells()[0], "x", ValueError("row CC(=O)Nc1ccc"))
    (store.folder / "study.toml").write_text(study.to_toml())
    store.write_table()
    planted = "".join(path.read_text() for path in store.folder.rglob("*") if path.is_file())
    assert [secret for secret in SECRETS if secret not in planted] == []
    clean(store.folder)
    assert all(one.shareable for one in holdings(store.folder))
    left = "".join(path.read_text() for path in store.folder.rglob("*") if path.is_file())
    assert [secret for secret in SECRETS if secret in left] == []
    assert "2 rows with missing values were dropped." in left
    assert "cohort.csv" in left
    assert verify(store.folder).whole
    assert Store.open(store.folder, study).load(KEY) is not None  # the same command still goes on here
    with pytest.raises(InvalidInput, match="holds another configuration"):
        Store.open(store.folder, Study.from_dict({**study.to_dict(), "seeds": [1]}))
