import gc
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from leaq.decisions.choosing import recommend
from leaq.decisions.evidence import listed
from leaq.decisions.gating import Limits, gate
from leaq.errors import StoreError
from leaq.lazy import Lazy
from leaq.results import Comparison, QuantizerRow, Size
from leaq.study import Store
from leaq.study.finished import Index
from leaq.system.checksummed import json_with_checksum, read_json
from leaq.system.memory import without_collecting
from leaq.types import AttackResult
from tests.unit.study.cells import cell, row
from tests.unit.study.small import small


def made(folder, count=6):
    store = Store.open(folder, small())
    for i in range(count):
        rows = [
            row("none", 0.5, 0.9),
            row("sign", 0.05 + i / 50, 0.8, drop=-0.01),
            row("int4", 0.2 if i < 5 else None, 0.85, drop=-0.001),
        ]
        key = f"x{count - i}-0123456789abcde{i}-fedcba9876543210"
        # What a choice and a gate go by beside the rows: paired differences, and releases attacked together.
        errors = ((0.1, 0.002, 0.01), (0.002, 0.1, float("inf")), (0.01, float("inf"), 0.1))
        both = row("sign + int4", 0.3 + i / 50, 0.9)
        made = cell(rows, data="abc"[i % 3], seed=i // 3)
        store.save(key, replace(made, comparison=Comparison(("none", "sign", "int4"), errors, 2.5), together=(both,)))
    return store


@pytest.fixture
def store(tmp_path):
    found = made(tmp_path / "run")
    found.write_table()
    return found


def told(results):
    """What the verbs look at."""
    return [
        (
            each.config, each.data, each.primary_metric, each.primary_attack, each.comparison,
            [(r.quantizer, r.label, r.size, dict(r.metrics), dict(r.drops), r.flags) for r in each.shown()],
            [
                (a.advantage, a.auc, a.game) if isinstance(a, AttackResult) else a
                for r in each.shown()
                for a in r.attacks.values()
            ],
        )
        for each in results
    ]  # fmt: skip


def test_what_is_summed_up_is_what_the_cells_say(store):
    assert told(store.summaries()) == told(store.finished())
    whole, brief = store.finished(), store.summaries()
    limits = Limits(max_advantage=0.1)
    assert gate(brief, limits) == gate(whole, limits)
    assert recommend(brief, 0.1) == recommend(whole, 0.1)


def test_no_cell_is_read_for_a_table_over_cells(store, monkeypatch):
    expected = told(store.finished())
    monkeypatch.setattr(Store, "read", lambda *_: pytest.fail("a cell was read"))
    assert told(store.summaries()) == expected
    assert len(store.frame())


def test_a_cell_that_was_changed_since_is_read_itself(store):
    key = store.stored()[0]
    store.save(key, cell([row("none", 0.5, 0.9), row("sign", 0.9, 0.1)], data="z"))
    assert told(store.summaries()) == told(store.finished())
    assert "z" in set(store.frame()["data"])
    store.cell_path(key).write_text("{")
    with pytest.raises(StoreError, match="make it anew"):
        store.summaries()


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("{"), lambda path: path.write_bytes(b"")])
def test_an_absent_or_damaged_index_costs_time_and_nothing_else(store, damage):
    expected, frame = told(store.finished()), store.frame()
    damage(store.folder / "index.json")
    assert told(store.summaries()) == expected
    pd.testing.assert_frame_equal(store.frame(), frame)


def test_a_table_that_was_changed_by_hand_is_not_believed(store):
    frame = store.frame()
    path = store.folder / "results.csv"
    path.write_text(path.read_text().replace("0.5", "0.4"))
    pd.testing.assert_frame_equal(store.frame(), frame)


def test_results_come_one_at_a_time_in_the_same_order(store):
    lines = [json.loads(store.line(key)) for key in store.ordered()]
    assert lines == [json.loads(found.to_json()) for found in store.finished()]
    key = store.stored()[0]
    older = {name: value for name, value in lines[0].items() if name != "references"}  # of an earlier version
    text = json.dumps(older, indent=1, sort_keys=True)
    store.cell_path(key).write_bytes(json_with_checksum(text, kind="cell", key=key))
    assert json.loads(store.line(key)) == json.loads(store.read(key).to_json())
    assert json.loads(store.line(key))["references"] == []
    store.cell_path(key).write_bytes(store.cell_path(key).read_bytes().replace(b"0.5", b"0.4", 1))
    with pytest.raises(StoreError, match="was changed after it was written"):
        store.line(key)


def test_a_folder_without_cells_has_no_lines(store):
    with pytest.raises(StoreError, match="holds no finished audit"):
        list(Store.open(store.folder.parent / "empty", small()).ordered())


def test_a_page_lists_the_cells_that_leak_most_whole_and_sums_up_all(store, monkeypatch):
    monkeypatch.setattr("leaq.decisions.evidence.LISTED", 2)
    leaky = store.stored()[3]
    store.save(leaky, cell([row("none", 0.95, 0.9), row("sign", 0.1, 0.8)], data="q"))
    store.write_table()
    found = store.reported()
    assert len(found) == 6
    assert [bool(one.rows[0].curves) for one in found].count(True) == 2
    assert next(one for one in found if one.data["name"] == "q").rows[0].curves
    assert len(listed(found)) == 2
    assert told(found) == told(store.finished())


def test_an_index_of_an_older_version_is_not_read(store):
    """Its entries have another form, or lack what a choice goes by."""
    path = store.folder / "index.json"
    plain = read_json(path, kind="index", key="")
    del plain["form"]
    for entry in plain["entries"].values():
        del entry[1]["comparison"]
        entry[1]["flags"] = [["a", "b"]]
    path.write_bytes(json_with_checksum(json.dumps(plain), kind="index", key=""))
    assert told(store.summaries()) == told(store.finished())


KEY = "a-0123456789abcdef-fedcba9876543210"


@pytest.fixture
def store_of_index(tmp_path):
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


def test_a_cell_comes_back_as_it_is_stored_now(store_of_index, tmp_path):
    index, path = Index(), store_of_index.cell_path(KEY)
    index.add(KEY, store_of_index.read(KEY), path)
    (tmp_path / "index.json").write_bytes(index.content())
    again = Index.read(tmp_path / "index.json")
    found, told = again.get(KEY, path), store_of_index.read(KEY)
    assert [one.metrics["roc_auc"].value for one in found.rows] == [0.9, 0.8]
    assert [one.flags for one in found.rows] == [one.flags for one in told.rows]
    assert again.covers({KEY: path})
    assert again.get("another", path) is None
    store_of_index.save(KEY, cell([row("none", 0.4, 0.9)]))
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
