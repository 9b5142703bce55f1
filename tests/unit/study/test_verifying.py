import json

import numpy as np
import pytest
from typer.testing import CliRunner

from leaq.cli.main import app
from leaq.errors import StoreError
from leaq.results import Size
from leaq.study import Store, Study
from leaq.study.failures import Failures
from leaq.study.verifying import verify
from leaq.types import LossTable
from tests.unit.study.cells import cell, row
from tests.unit.study.small import small

KEYS = ("wine-0123456789abcdef-fedcba9876543210", "wine-0123456789abcd00-fedcba9876543210")
FILES = 1 + 2 * 3 + 1 + 2 + 3  # configuration; cell, timings, private; failure; chunks; table, index, study


def chunk(value):
    losses = np.full((2, 1, 4), value)
    table = LossTable(losses=losses, members=np.eye(2, 4, dtype=bool), task="regression", game="pool", n_train=1)
    return {"sign": (table, Size(1.0, 1.0, 10, 32.0))}


def made(folder):
    study = small()
    store = Store.open(folder, study)
    for seed, key in enumerate(KEYS):
        store.save(key, cell([row("none", 0.5, 0.9), row("sign", 0.05 + seed, 0.9)], seed=seed))
    chunks = store.chunks("wine-chunks")
    chunks.put("models-0-2", chunk(1.0))
    chunks.put("models-2-4", chunk(2.0))
    Failures(folder / "failed").record(study.cells()[0], "wine", ValueError("row 3"))
    (folder / "study.toml").write_text(Study.from_dict(Store(folder).config).to_toml())
    store.write_table()
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return made(tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture
def run(tmp_path):
    return made(tmp_path / "run")


def files(folder):
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and path.parent.name != "locks"]


def test_a_whole_folder_is_whole(whole):
    found = verify(whole)
    assert (found.whole, found.checked, found.damaged, found.notes) == (True, FILES, (), ())
    assert len(files(whole)) == FILES


def test_damage_to_any_file_is_found_and_named(run, rng):
    for path in files(run):
        content = bytearray(path.read_bytes())
        if path.name == "config.json":
            continue
        damaged = content.copy()
        damaged[int(rng.integers(len(content)))] ^= 1
        for each in (damaged, content[:-1], b""):
            path.write_bytes(each)
            found = {one.file for one in verify(run).damaged}
            assert path.relative_to(run).as_posix() in found
        path.write_bytes(content)
    assert verify(run).whole


SWAPS = [
    ("cells/{0}.json", "cells/{1}.json"),
    ("cells/{0}.timings.json", "cells/{1}.timings.json"),
    ("private/{0}.json", "private/{1}.json"),
    ("private/{0}.json", "cells/{1}.json"),
    ("chunks/wine-chunks/models-0-2.npz", "chunks/wine-chunks/models-2-4.npz"),
]


@pytest.mark.parametrize("pair", SWAPS, ids=str)
def test_files_swapped_or_copied_over_each_other_are_found(run, pair):
    one, other = (run / name.format(*KEYS) for name in pair)
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    assert not verify(run).whole
    other.write_bytes(first)
    assert len(verify(run).damaged) >= 2


def test_a_chunk_in_another_cells_folder_counts_as_absent(run):
    (run / "chunks" / "wine-chunks").rename(run / "chunks" / "beer-chunks")
    store = Store(run)
    assert store.chunks("beer-chunks").get("models-0-2") is None
    assert [path.name for path in store.damaged] == ["models-0-2.npz"]


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x03\x04" + b"\0" * 60])
def test_a_chunk_that_is_no_archive_counts_as_absent(run, content):
    (run / "chunks" / "wine-chunks" / "models-0-2.npz").write_bytes(content)
    assert Store(run).chunks("wine-chunks").get("models-0-2") is None


def test_a_damaged_private_part_is_never_shown_and_its_cell_is_computed_again(run):
    path = run / "private" / f"{KEYS[0]}.json"
    path.write_text(path.read_text().replace("{}", "{ }", 1))
    store = Store(run)
    with pytest.raises(Exception, match="Run the same command again to make it anew"):
        store.with_risks()
    assert store.load(KEYS[0]) is None
    assert [aside.name for aside in store.damaged] == [f"{KEYS[0]}.damaged"]
    assert not path.exists()


def test_what_cannot_be_checked_is_said(run):
    (run / "private" / f"{KEYS[0]}.json").unlink()
    (run / "cells" / "x.damaged").write_text("")
    (run / "cells" / ".x.json-0123abcd").write_text("")
    assert [note.split(" ")[0] for note in verify(run).notes] == ["The", "1", "1"]
    assert verify(run).whole


def test_a_killed_runs_half_files_are_swept_by_who_takes_its_place(run):
    halves = [run / "cells" / f".{KEYS[0]}.json-0123abcd", run / "private" / f".{KEYS[0]}.json-0123abcd"]
    halves += [run / "chunks" / "wine-chunks" / ".models-0-2.npz-0123abcd", run / ".results.csv-0123abcd"]
    other = run / "cells" / f".{KEYS[1]}.json-0123abcd"
    for path in (*halves, other):
        path.write_text("half")
    store = Store(run)
    lock = store.lock(KEYS[0])
    store.chunks("wine-chunks")
    store.write_table()
    lock.release()
    assert [path.exists() for path in halves] == [False] * 4
    assert other.exists()  # another process may be writing it


def test_the_command_says_what_is_damaged(run):
    runner = CliRunner()
    assert runner.invoke(app, ["verify", str(run)]).output == f"{FILES} files checked, 0 damaged.\n"
    path = run / "cells" / f"{KEYS[0]}.json"
    path.write_bytes((run / "cells" / f"{KEYS[1]}.json").read_bytes())
    found = runner.invoke(app, ["verify", str(run)])
    assert found.exit_code == 1
    assert f"DAMAGED  cells/{KEYS[0]}.json" in found.output
    told = json.loads(runner.invoke(app, ["verify", str(run), "--json"]).stdout)
    assert not told["whole"]
    assert told["damaged"][0]["file"] == f"cells/{KEYS[0]}.json"


@pytest.mark.parametrize("schema", ["0", "1", "-2", '"2"', "2.5", "true", "null"])
def test_a_layout_changed_by_damage_is_never_read_as_an_earlier_one_without_checksums(run, schema):
    path = run / "config.json"
    changed = path.read_text().replace('"schema": 2', f'"schema": {schema}')
    assert changed != path.read_text()
    path.write_text(changed)
    with pytest.raises(StoreError, match="config.json' is damaged"):
        Store(run)


def test_a_table_of_a_version_before_checksums_is_not_called_damaged(run, monkeypatch):
    """It had other columns; what it says stands in the cells, which are checked."""
    (run / "results.csv").write_text("data,task\n")
    assert [one.file for one in verify(run).damaged] == ["results.csv"]
    monkeypatch.setattr(Store, "checksummed", property(lambda _: False))
    found = verify(run)
    assert "results.csv" not in [one.file for one in found.damaged]
    assert any("of chunks and tables nothing" in note for note in found.notes)
