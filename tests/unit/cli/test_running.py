import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from leaq.cli import running
from leaq.cli.main import app
from leaq.cli.running import run_folder
from leaq.data import loading
from leaq.pipeline.cell import AuditConfig
from leaq.study import Store

QUICK = ("--quantizers", "sign", "--replicates", "2", "--epochs", "1", "--hidden", "4", "--checkpoints", "2")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEAQ_RUNS_DIR")
    return tmp_path


def audit(*words):
    found = CliRunner().invoke(app, ["audit", "wine", *QUICK, *words])
    assert found.exit_code == 0, found.output
    return found


def test_a_run_is_kept_where_its_source_says_and_another_beside_it(here):
    assert "Run folder: runs/wine" in audit("--quiet").stderr.replace("\n", " ")
    assert Store("runs/wine").count() == 1
    audit("--quiet")
    assert [path.name for path in Path("runs").iterdir()] == ["wine"], "the same audit is the same run"
    audit("--quiet", "--seed", "1")
    assert sorted(path.name for path in Path("runs").iterdir()) == ["wine", "wine-2"]
    assert Path("runs/wine").stat().st_mode & 0o077 == 0


def test_a_folder_of_somebody_else_is_left_alone(here):
    Path("runs/wine").mkdir(parents=True)
    Path("runs/wine/notes.txt").write_text("mine")
    assert run_folder("wine", AuditConfig(source="wine")) == Path("runs/wine-2")


@pytest.mark.parametrize(
    ("source", "name"),
    [("/data/my table.csv", "my-table"), ("mixture(modes=2, d=4, n=60)", "mixture-modes-2-d-4-n-60"), ("...", "audit")],
)
def test_a_folder_is_named_after_its_source(here, source, name):
    assert run_folder(source, AuditConfig(source=source)) == Path("runs") / name


def test_off_keeps_nothing_and_another_place_can_be_named(here, monkeypatch):
    monkeypatch.setenv("LEAQ_RUNS_DIR", "off")
    audit("--quiet")
    assert not Path("runs").exists()
    monkeypatch.setenv("LEAQ_RUNS_DIR", str(here / "kept"))
    assert run_folder("wine", AuditConfig(source="wine")) == here / "kept" / "wine"


def test_open_opens_the_report_that_is_written_into_the_run_folder(here, monkeypatch):
    opened = []
    monkeypatch.setattr("typer.launch", opened.append)
    audit("--quiet", "--open")
    assert opened == [str((here / "runs" / "wine" / "report.html").resolve())]
    assert Path(opened[0]).is_file()


@pytest.mark.parametrize(("jobs", "done", "said"), [(1, (1,), 5), (2, (1, 2, 3), 3), (2, (1, 2), None)])
def test_how_long_the_trainings_of_a_recipe_take_is_said_once_it_is_known(jobs, done, said, monkeypatch):
    clock, notes = iter(range(0, 1000, 20)), []
    monkeypatch.setattr(running.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(running.console, "note", notes.append)
    watch = running._First(lambda *_: None, jobs=jobs)
    for number in done:
        watch("models", number, 6)
        watch("evaluating", number, 6)
    assert len(notes) == (said is not None)
    assert said is None or f"the other {said} take about" in notes[0]


def test_a_small_table_is_read_once(here, monkeypatch):
    read, seen = loading.read_table, []
    monkeypatch.setattr(loading, "read_table", lambda path: seen.append(path) or read(path))
    (here / "my.csv").write_text("a,y\n" + "".join(f"{0.1 * i * i},{i % 2}\n" for i in range(40)))
    found = CliRunner().invoke(app, ["audit", "my.csv", "--target", "y", *QUICK])
    assert found.exit_code == 0, found.output
    assert [path.name for path in seen] == ["my.csv"]


def test_what_is_wrong_with_a_table_is_said_before_torch_is_loaded(here):
    (here / "my.csv").write_text("a,y\n1,2\n")
    asked = "from leaq.cli.main import app; app(['audit', 'my.csv', '--target', 'y'], standalone_mode=False)"
    code = f"import sys\ntry:\n    {asked}\nfinally:\n    print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "at least 20 records" in done.stderr
    assert done.stdout == "False\n"
