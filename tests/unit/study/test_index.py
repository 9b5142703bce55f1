import gc

import pytest

from leaq.lazy import Lazy
from leaq.results import QuantizerRow, Size
from leaq.study import Store
from leaq.study.index import Index
from leaq.system.environment import without_collecting
from tests.unit.study.cells import cell, row
from tests.unit.study.small import small

KEY = "a-0123456789abcdef-fedcba9876543210"


@pytest.fixture
def store(tmp_path):
    found = Store.open(tmp_path / "run", small())
    found.save(KEY, cell([row("none", 0.5, 0.9), row("sign", None, 0.8, flags=("no-skill",))]))
    return found


def test_values_are_built_when_they_are_looked_at_and_not_before():
    asked = []
    held = Lazy({"lira": 1, "threshold": 2}, lambda name, raw: asked.append(name) or raw * 10)
    made = QuantizerRow("sign", "sign", Size(1.0, 1.0, 10, 32.0), attacks=held)
    assert ("lira" in made.attacks, len(made.attacks), asked) == (True, 2, [])
    assert (made.attacks["lira-online"], asked) == (10, ["lira"])  # by its former name too
    asked.clear()
    changed = made.attacks.changed(lambda value: value + 1)
    assert (list(changed), asked) == (["lira", "threshold"], [])
    assert (changed["threshold"], changed["threshold"], changed["lira"], asked) == (21, 21, 11, ["threshold"])
    assert dict(QuantizerRow("sign", "sign", Size(1.0, 1.0, 10, 32.0), attacks={"a": 1}).attacks.changed(str)) == {
        "a": "1"
    }


def test_a_cell_comes_back_as_it_is_stored_now(store, tmp_path):
    index, path = Index(), store.cell_path(KEY)
    index.add(KEY, store.read(KEY), path)
    (tmp_path / "index.json").write_bytes(index.content())
    again = Index.read(tmp_path / "index.json")
    found, told = again.get(KEY, path), store.read(KEY)
    assert [one.metrics["roc_auc"].value for one in found.rows] == [0.9, 0.8]
    assert [one.flags for one in found.rows] == [one.flags for one in told.rows]
    assert again.covers({KEY: path})
    assert again.get("another", path) is None
    store.save(KEY, cell([row("none", 0.4, 0.9)]))
    assert again.get(KEY, path) is None
    assert not again.covers({KEY: path})


def test_what_is_no_index_is_an_empty_one(tmp_path):
    (tmp_path / "index.json").write_bytes(b"{}")
    for name in ("index.json", "absent.json"):
        assert not Index.read(tmp_path / name).table


@pytest.mark.parametrize("running", [True, False])
def test_collection_is_paused_and_left_as_it_was(running):
    before = gc.isenabled()
    try:
        (gc.enable if running else gc.disable)()
        with without_collecting():
            assert not gc.isenabled()
        assert gc.isenabled() == running
    finally:
        (gc.enable if before else gc.disable)()
