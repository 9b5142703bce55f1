import subprocess
import sys

import pytest

import leaq
from leaq.errors import InvalidInput, StoreError
from tests.helpers import require

QUICK = {"hidden": (4,), "epochs": 1, "checkpoints": 2}


def study(**changes):
    given = {"data": ("wine",), "heads": (QUICK,), "seeds": (0,), "quantizers": ("sign",), "audit": {"replicates": 4}}
    return leaq.Study(**given | changes)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return leaq.run(study(), tmp_path_factory.mktemp("runs") / "x")


def test_a_study_runs_into_a_folder_and_is_not_run_twice(store):
    written = {path: path.stat().st_mtime_ns for path in (store.folder / "cells").iterdir()}
    again = leaq.run(study(), store.folder)
    assert isinstance(again, leaq.Store)
    assert {path: path.stat().st_mtime_ns for path in (store.folder / "cells").iterdir()} == written
    assert again.frame().equals(store.frame())
    assert set(store.frame()["quantizer"]) == {"none", "sign"}


def test_failed_cells_are_said(tmp_path):
    with pytest.warns(UserWarning, match="1 cells computed, 0 found finished, 1 failed. Failed: nowhere"):
        store = leaq.run(study(data=("wine", "nowhere.csv")), tmp_path / "x", allow_missing=True)
    assert store.count() == 1


def test_missing_data_stop_a_study_before_anything_is_computed(tmp_path):
    with pytest.raises(InvalidInput, match="Nothing was computed: nowhere.csv cannot be found"):
        leaq.run(study(data=("wine", "nowhere.csv")), tmp_path / "x")


def test_a_report_takes_a_store_an_audit_or_several(store, tmp_path):
    require("altair")
    (cell,) = store.finished()
    pages = [leaq.report(given, tmp_path / "x.html").read_text() for given in (store, cell, [cell])]
    assert all("wine" in page and "sign" in page for page in pages)


def test_the_internal_edition_needs_the_risks(store, tmp_path):
    require("altair")
    leaq.report(store, tmp_path / "x.html", edition="internal")
    for path in (store.folder / "private").iterdir():
        path.rename(tmp_path / path.name)
    with pytest.raises(StoreError, match="An internal report and --show-records need the risk of every record"):
        leaq.report(store, tmp_path / "x.html", edition="internal")
    for path in tmp_path.glob("*.json"):
        path.rename(store.folder / "private" / path.name)


def test_public_names_are_few_and_every_one_is_there():
    assert len(leaq.__all__) <= 21
    for name in leaq.__all__:
        assert callable(getattr(leaq, name)), name


def test_a_room_does_not_shadow_a_verb_and_names_load_nothing_before_they_are_used():
    code = """
import sys, leaq
assert not {"torch", "pandas"} & set(sys.modules)
assert {"run", "report", "Study"} <= set(dir(leaq))
import leaq.api, leaq.study, leaq.reporting, leaq.pipeline.finished, leaq.evaluation, leaq.quantizers
for name in leaq.__all__:
    assert callable(getattr(leaq, name)), name
"""
    subprocess.run([sys.executable, "-c", code], check=True)
