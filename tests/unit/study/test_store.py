import hashlib
import json
import stat
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from leaq.data import load
from leaq.errors import InvalidInput, StoreError
from leaq.pipeline.cell import AuditConfig
from leaq.results import CellResult, QuantizerRow, Size
from leaq.results.tidy import COLUMNS
from leaq.study import Store
from leaq.study.store import cell_key, chunks_key, data_digest
from leaq.system.checksummed import json_with_checksum
from leaq.types import AttackResult, Estimate, NotComputed

KEY = "wine-0123456789abcdef-fedcba9876543210"


def result(**options):
    advantage = Estimate(0.1234567890123456789, 0.1, float("inf"), 40)
    attack = AttackResult("threshold", "losses", "pool", advantage, Estimate(0.6, 0.5, 0.7, 40))
    row = QuantizerRow(
        "sign",
        "sign",
        Size(1.0, 1.0, 10, 32.0),
        metrics={"roc_auc": Estimate(0.9, 0.8, 0.95, 8, unit="models")},
        measures={"r": NotComputed("needs candidates")},
        attacks={"threshold": attack},
    )
    config = {"source": "wine", "embedder": "identity", "seed": 3, "training": {"hidden": [8], "epochs": 2}}
    data = {"name": "wine", "task": "classification", "n": 40, "n_train": 20}
    chosen = {"config": config, "data": data, "rows": (row,), "primary_metric": "roc_auc"}
    return CellResult(**{**chosen, "primary_attack": "threshold", "timings": {"models_seconds": 1.0}, **options})


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "run", AuditConfig(source="wine"))


def test_what_is_saved_is_found_again(store):
    store.save(KEY, result())
    found = store.load(KEY)
    assert found.to_json() == result().to_json()
    assert found.timings == {"models_seconds": 1.0}
    assert store.load(KEY.replace("wine", "beer")) is None


def test_nobody_else_can_read_it(store):
    store.save(KEY, result())
    store.write_table()
    for path in (store.folder, *store.folder.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("damage", [lambda text: text[:-40], lambda text: text.replace("0.9", "0.8", 1), lambda _: ""])
def test_a_damaged_cell_is_set_aside_and_remembered(store, damage):
    store.save(KEY, result())
    path = store.folder / "cells" / f"{KEY}.json"
    path.write_text(damage(path.read_text()))
    with pytest.raises(StoreError, match="Run the same command again to make it anew"):
        store.finished()
    assert store.load(KEY) is None
    assert [aside.name for aside in store.damaged] == [f"{KEY}.damaged"]
    assert store.damaged[0].exists()
    assert not path.exists()


def test_damaged_timings_do_not_cost_the_numbers(store):
    store.save(KEY, result())
    (store.folder / "cells" / f"{KEY}.timings.json").write_text("{")
    found = store.load(KEY)
    assert (found.rows, found.timings, store.damaged) == (result(timings={}).rows, {}, [])
    assert not (store.folder / "cells" / f"{KEY}.timings.json").exists()  # set aside: nobody reads it again


def test_a_cell_of_a_newer_version_is_refused_and_left_alone(store):
    store.save(KEY, result())
    path = store.folder / "cells" / f"{KEY}.json"
    plain = json.loads(path.read_text())
    plain.pop("seal")
    path.write_bytes(json_with_checksum(json.dumps({**plain, "schema": 99}), kind="cell", key=KEY))
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"written by a newer leaq \(schema 99"):
        store.load(KEY)
    assert path.read_bytes() == before


def test_a_folder_of_a_newer_version_is_refused(store):
    path = store.folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 99}))
    with pytest.raises(StoreError, match=r"made by a newer leaq \(layout 99; this version reads up to 2\)"):
        Store(store.folder)


def test_a_folder_of_the_first_version_is_read(tmp_path):
    """Its config.json was the audit's configuration itself, and its cells were named by one digest."""
    folder = tmp_path / "run"
    (folder / "cells").mkdir(parents=True)
    config = AuditConfig(source="wine").to_dict()
    (folder / "config.json").write_text(json.dumps(config))
    plain = json.loads(result().to_json(timings=False))
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    plain["checksum"] = hashlib.sha256(text.encode()).hexdigest()
    cell = folder / "cells" / "wine-0123456789abcdef.json"
    cell.write_text(json.dumps(plain))
    store = Store(folder)
    assert (store.kind, store.config["source"]) == ("audit", "wine")
    assert [found.data["name"] for found in store.finished()] == ["wine"]
    assert Store.open(folder, AuditConfig(source="wine")).finished()
    cell.write_text(cell.read_text().replace("0.9", "0.8", 1))
    with pytest.raises(StoreError, match="Run the same command again to make it anew"):
        store.finished()


def test_the_same_question_of_changed_records_takes_the_old_answers_place(store):
    store.save(KEY, result())
    store.save(KEY[:-4] + "0000", result(primary_attack="other"))
    assert [found.primary_attack for found in store.finished()] == ["other"]
    assert (store.folder / "cells" / f"{KEY}.superseded").exists()


def test_another_configuration_does_not(store):
    store.save(KEY, result())
    store.save(KEY.replace("0123", "9999"), result())
    assert len(store.finished()) == 2


def test_one_line_reads_every_number(store):
    store.save(KEY, result())
    frame = pd.read_csv(store.write_table())
    assert tuple(frame.columns) == COLUMNS
    advantage = frame[frame["name"] == "threshold.advantage"].iloc[0]
    assert (advantage["value"], advantage["high"]) == (0.1234567890123456789, float("inf"))
    assert advantage["primary"]
    assert frame[frame["name"] == "r"].iloc[0]["not_computed"] == "needs candidates"
    assert frame["n_train"].unique().tolist() == [20]
    assert len(store.frame()) == len(frame)


def test_the_table_does_not_depend_on_the_order_of_saving(tmp_path):
    tables = []
    for name, keys in (("a", (KEY, KEY.replace("0123", "9999"))), ("b", (KEY.replace("0123", "9999"), KEY))):
        store = Store.open(tmp_path / name, AuditConfig(source="wine"))
        for key in keys:
            store.save(key, result(primary_attack=key[5:9]))
        tables.append(store.write_table().read_bytes())
    assert tables[0] == tables[1]


def test_what_a_killed_start_leaves_does_not_block_the_folder(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".config.json-x1y2").write_text("{")
    assert Store.open(folder, AuditConfig(source="wine")).config["source"] == "wine"


def test_another_configuration_is_refused(store):
    with pytest.raises(InvalidInput, match=r"holds another configuration: seed differ \(seed: 0 there, 4 asked for\)"):
        Store.open(store.folder, AuditConfig(source="wine", seed=4))


def test_a_folder_with_other_things_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(InvalidInput, match="It holds other things"):
        Store.open(tmp_path, AuditConfig(source="wine"))


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"schema": "1"}', '{"schema": 2}', "null", "[" * 10_000])
def test_a_damaged_configuration_is_named(store, content):
    (store.folder / "config.json").write_text(content)
    with pytest.raises(StoreError, match=r"config.json' is damaged"):
        Store(store.folder)


def test_audits_come_by_data_set_embedder_and_seed_whatever_their_files_are_called(store):
    order = [("b", 0), ("a", 1), ("a", 0)]
    for i, (name, seed) in enumerate(order):
        config = {**result().config, "seed": seed}
        store.save(
            f"x{i}-0123456789abcde{i}-fedcba9876543210", result(config=config, data={**result().data, "name": name})
        )
    assert [(found.data["name"], found.config["seed"]) for found in store.finished()] == sorted(order)


def test_a_read_only_folder_is_named_and_what_was_there_stays(store, monkeypatch):
    store.save(KEY, result())

    def refuse(*args, **options):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("leaq.system.files._temporary", refuse)
    with pytest.raises(StoreError, match=r"could not be written \(Read-only file system\).*run the same command again"):
        store.save(KEY, result(primary_attack="other"))
    assert [found.primary_attack for found in store.finished()] == ["threshold"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="must be writable. It cannot be created"):
        Store.open(tmp_path / "file" / "run", AuditConfig(source="wine"))


def test_a_data_sets_name_is_no_formula_in_a_spreadsheet(store):
    store.save(KEY, result(data={**result().data, "name": "=HYPERLINK(1)", "task": "@x"}))
    frame = pd.read_csv(store.write_table())
    assert set(frame["data"]) == {"'=HYPERLINK(1)"}
    assert set(frame["task"]) == {"'@x"}
    assert frame["value"].dtype == float


def without(config, *names):
    return {name: value for name, value in config.items() if name not in names}


@pytest.mark.parametrize("keyed_by_all", [True, False])
def test_a_folder_written_before_an_option_was_added_is_of_the_same_configuration(tmp_path, keyed_by_all, monkeypatch):
    asked = AuditConfig(source="wine", draws=50)
    earlier = {**without(asked.to_dict(), "judged"), "training": without(asked.training.to_dict(), "device")}
    with monkeypatch.context() as before:  # as a version wrote it that knew neither option
        before.setattr(AuditConfig, "to_dict", lambda _: earlier)
        if keyed_by_all:  # and digested every one
            before.setattr(AuditConfig, "asked", lambda _: earlier)
        Store.open(tmp_path, asked).save(KEY, result())
    assert "judged" not in Store(tmp_path).config
    assert Store.open(tmp_path, asked).load(KEY) is not None
    assert Store.holds(tmp_path, asked)
    for other in ({"judged": 100}, {"draws": 60}, {"training": {"device": "cuda"}}):
        different = AuditConfig(**{"source": "wine", "draws": 50, **other})
        assert not Store.holds(tmp_path, different)
        with pytest.raises(InvalidInput, match="holds another configuration"):
            Store.open(tmp_path, different)


def test_cells_are_keyed_by_what_differs_from_the_defaults(monkeypatch):
    asked = AuditConfig(source="wine", draws=50)
    key, kept = cell_key(asked, "wine", "records"), chunks_key(asked, "wine", "records")
    monkeypatch.setattr(AuditConfig, "to_dict", lambda config: {**config.asked(), "an option to come": None})
    assert (cell_key(asked, "wine", "records"), chunks_key(asked, "wine", "records")) == (key, kept)
    assert cell_key(AuditConfig(source="wine", draws=60), "wine", "records") != key
    assert cell_key(asked, "wine", "other records") != key


def test_records_that_a_released_model_has_seen_are_told_from_others():
    """Members in a file of the same name that had changed were answered from the result of the former ones."""
    samples = load("wine")
    seen = [replace(samples, released_on=np.arange(len(samples)) < n) for n in (80, 90)]
    assert len({data_digest(one) for one in (samples, *seen)}) == 3
