"""Processes: the same numbers as in this process, and what happens when one of them dies."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from leaq.study.engines import WorkerDied
from leaq.study.engines.processes import Processes
from leaq.types import silent


# Workers import this file for the functions below: what trains is imported where it is used, in a tenth of the time.
def double(x):
    return 2 * x


def pair(x):
    return x, x + 1


def fail():
    raise ValueError("no")


def die_once(path):
    """Die as a process does that the kernel ends for its memory, the first time."""
    if not path.exists():
        path.write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def die():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def engine():
    made = Processes(1)
    yield made
    made.close()


def finish(engine, task, *args, returns=1):
    handles = engine.submit(task, *args, returns=returns, progress=silent)
    engine.wait(handles)
    return [engine.result(handle) for handle in handles]


def test_values_errors_and_deaths(engine, tmp_path):
    assert finish(engine, pair, 3, returns=2) == [3, 4]
    (handle,) = engine.submit(double, engine.share(5), progress=silent)
    engine.wait([handle])
    assert finish(engine, double, handle) == [20]
    with pytest.raises(ValueError, match="no"):
        finish(engine, fail)
    assert finish(engine, die_once, tmp_path / "mark") == ["alive"]


def test_a_task_that_always_kills_its_process_fails_and_the_engine_goes_on(engine):
    with pytest.raises(WorkerDied, match="died 2 times on this task"):
        finish(engine, die)
    assert finish(engine, double, 1) == [2]


def test_the_same_study_gives_the_same_table(tmp_path):
    from leaq.study import run_study
    from tests.unit.study.small import small

    run_study(small(seeds=(0,)), tmp_path / "local")
    started = time.monotonic()
    outcome = run_study(small(seeds=(0,)), tmp_path / "processes", engine="processes", workers=2)
    assert outcome.computed == 2, time.monotonic() - started
    tables = [(tmp_path / name / "results.csv").read_bytes() for name in ("local", "processes")]
    assert tables[0] == tables[1]


PARENT = """
import os, signal, sys
from leaq.study.engines.processes import Processes
from leaq.types import silent
if __name__ == "__main__":
    engine = Processes(1)
    handles = engine.submit(os.getpid, returns=1, progress=silent)
    engine.wait(handles)
    print(engine.result(handles[0]), flush=True)
    signal.pause()
"""


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and ") Z " in status.read_text())


def test_workers_end_with_a_parent_that_is_killed_and_run_no_code_of_the_current_folder(tmp_path):
    script = tmp_path / "away" / "script.py"
    script.parent.mkdir()
    script.write_text(PARENT)
    for name in ("pickle", "pydantic", "runpy"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(os.path.isabs, sys.path))}
    with subprocess.Popen([sys.executable, script], cwd=tmp_path, env=environment, stdout=subprocess.PIPE) as parent:
        worker = int(parent.stdout.readline())
        assert is_running(worker)
        parent.kill()
    while is_running(worker):  # the runner's own limit ends a test that waits for ever
        time.sleep(0.01)
    assert not (tmp_path / "ran").exists()
