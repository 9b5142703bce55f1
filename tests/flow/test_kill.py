"""kill -9 at any moment, then the same command: nothing is lost, nothing computed twice, the same table to the byte."""

import multiprocessing
import os
import signal
import time
from collections import Counter

import numpy as np

from leaq.study import Store, run_study
from leaq.study.chunks import ChunkStore
from tests.unit.study.small import small

KILLS = 12
SMALL = {"seeds": (0,)}
"""Two cells of two chunks each: a kill lands in all stages, and what is done again is little."""


def logged(folder):
    """Run the study, noting each chunk and each cell right after it is on disk."""
    put, save = ChunkStore.put, Store.save

    def note(text):
        with (folder.parent / "log").open("a") as file:
            file.write(text + "\n")

    def noted_put(self, key, found):
        put(self, key, found)
        note(f"chunk {self._folder.name} {key}")

    def noted_save(self, key, result):
        save(self, key, result)
        note(f"cell {key}")

    ChunkStore.put, Store.save = noted_put, noted_save
    run_study(small(**SMALL), folder)


def test_killed_at_random_moments(tmp_path, rng):
    context = multiprocessing.get_context("forkserver")  # loads the libraries once, so that kills hit the work
    context.set_forkserver_preload(["leaq.study", "leaq.study.runner", "tests.unit.study.small"])
    folder = tmp_path / "killed"
    started = time.monotonic()
    run_study(small(**SMALL), tmp_path / "whole")
    usual = time.monotonic() - started
    for _ in range(KILLS):
        process = context.Process(target=logged, args=(folder,))
        process.start()
        process.join(float(rng.uniform(0.05, 0.6)) * usual)
        if process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)
        process.join()
    logged_run = context.Process(target=logged, args=(folder,))
    logged_run.start()
    logged_run.join()
    assert logged_run.exitcode == 0
    counts = Counter((tmp_path / "log").read_text().split("\n")[:-1])
    assert counts
    assert max(counts.values()) == 1, [line for line, count in counts.items() if count > 1]
    assert (folder / "results.csv").read_bytes() == (tmp_path / "whole" / "results.csv").read_bytes()
    for name in ("config.json", "study.toml"):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert [p.name for p in (folder / "chunks").iterdir()] == []
    cells = [p for p in sorted((folder / "cells").glob("*.json")) if "timings" not in p.name]
    assert len(cells) == 2
    for path in cells:
        assert path.read_bytes() == (tmp_path / "whole" / "cells" / path.name).read_bytes()


def both(folder, barrier):
    barrier.wait()
    logged(folder)


def test_two_processes_on_one_folder_neither_repeat_nor_corrupt(tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["leaq.study", "leaq.study.runner", "tests.unit.study.small"])
    barrier = context.Barrier(2)
    two = [context.Process(target=both, args=(tmp_path / "run", barrier)) for _ in range(2)]
    for process in two:
        process.start()
    for process in two:
        process.join()
    assert [process.exitcode for process in two] == [0, 0]
    counts = Counter((tmp_path / "log").read_text().split("\n")[:-1])
    assert sorted(counts.values()) == [1] * (2 + 4)
    run_study(small(**SMALL), tmp_path / "whole")
    assert (tmp_path / "run" / "results.csv").read_bytes() == (tmp_path / "whole" / "results.csv").read_bytes()


def test_the_kill_test_would_see_work_done_twice(tmp_path):
    """Negative control: a store that forgets is noticed by the same log."""
    lines = ["chunk a models-0-2", "chunk a models-0-2", "cell a"]
    assert max(Counter(lines).values()) == 2
    assert np.unique(lines).size == 2
