"""Many tiny cells in one process: memory, handles and processor time of a cell must not grow with their number."""

import os
import time
from pathlib import Path

import numpy as np
from scipy import stats

from leaq.study import Rules, run_study
from leaq.study.events import Event
from leaq.training import TrainingConfig
from leaq.types import Floats
from tests.attack.inputs import Rng
from tests.unit.study.small import small

CELLS, WARM, BLOCKS = 300, 60, 10
"""Cells of a trial, how many first ones fill caches and are not counted, and blocks that the rest is cut into."""
GROWTH = 24 * 2**20
"""Bytes that the process may grow by over all cells that count: a loss table kept of each would be more."""
HEAD = TrainingConfig(hidden=(4,), epochs=2, checkpoints=2, chunk=4)


def used() -> tuple[float, float, float, float]:
    """Resident bytes, open handles, and processor seconds before and after a piece of work that never changes.

    What others do to the caches and clock of the processor slows that work down as it slows a cell down.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    handles = sum(1 for _ in Path("/proc/self/fd").iterdir())
    before = time.process_time()
    sum(at * at for at in range(100_000))
    return pages * os.sysconf("SC_PAGESIZE"), handles, before, time.process_time()


def grows(values: Floats, by: float) -> bool:
    """Whether values rise over their course by more than `by`, and by more than their noise explains (one in 10,000).

    Neighbours depend on each other, so the noise is that of the blocks' medians.
    """
    middles = [float(np.median(block)) for block in np.array_split(values, BLOCKS)]
    line = stats.linregress(np.arange(BLOCKS), middles, alternative="greater")
    return bool(line.slope * (BLOCKS - 1) > by and line.pvalue < 1e-4)


def soak(rng: Rng, folder: Path, cells: int = CELLS, warm: int = WARM) -> None:
    """A study of many seeds; what the process holds and has spent is taken after each cell."""
    first = int(rng.integers(10**6))
    seeds = tuple(range(first, first + cells))
    quick = {"replicates": 4, "draws": 5, "attacks": ["threshold"]}
    seen: list[tuple[float, float, float, float]] = []

    def watch(event: Event) -> None:
        if event.kind == "done":
            seen.append(used())

    study = small(data=("wine",), heads=(HEAD,), seeds=seeds, audit=quick)
    run_study(study, folder / "run", watch=watch, rules=Rules())
    assert len(seen) == cells, f"{len(seen)} of {cells} cells are done"
    memory, handles, before, after = np.array(seen[warm:]).T
    cost = (before[1:] - after[:-1]) / (after - before)[1:]
    assert not grows(memory, GROWTH), f"memory grows from {memory[0]:,.0f} to {memory[-1]:,.0f} bytes"
    assert not grows(handles, 2), f"handles grow from {handles[0]:.0f} to {handles[-1]:.0f}"
    assert not grows(cost, float(np.median(cost)) / 4), f"a cell costs more and more: {np.array_split(cost, BLOCKS)}"
