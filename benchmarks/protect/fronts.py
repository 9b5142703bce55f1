"""The smallest leak within each drop of the metric, and means over tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.protect.settings import EXISTING, OURS, STUDENT
from leaq.seeds import stream
from leaq.types import Floats

__all__ = [
    "BUDGETS", "DROPS", "FRONTS", "PROTECT", "QUANTIZERS", "REFITS", "STUDENTS", "Front", "by_task", "front",
    "interval", "leaks",
]  # fmt: skip

Row = Mapping[str, Any]
DROPS = np.linspace(0.0, 0.1, 21)
BUDGETS = (0.0, 0.02, 0.05)
QUANTIZERS, STUDENTS = "quantizers and training less", "a student as well"
REFITS, PROTECT = "refits as well, no student", "with protect"
FRONTS = {
    QUANTIZERS: EXISTING,
    STUDENTS: (*EXISTING, STUDENT),
    REFITS: (*EXISTING, *OURS),
    PROTECT: (*EXISTING, STUDENT, *OURS),
}


@dataclass(frozen=True)
class Front:
    """The smallest leak within each drop: advantage of who holds the file, and the drop that was really paid."""

    leak: Floats
    paid: Floats
    chosen: tuple[str, ...]


def front(rows: Mapping[str, Row], allowed: Sequence[str], drops: Floats = DROPS, *, key: str = "file_each") -> Front:
    """Return the cross-fitted front of the rows that are allowed; full precision always is."""
    names = ["none", *(name for name in allowed if name in rows and name != "none")]
    leak = np.array([rows[name][key] for name in names])
    metric = np.array([rows[name]["metrics"] for name in names])
    metric = metric - metric[0]
    half = np.arange(leak.shape[1]) < leak.shape[1] // 2
    found, paid, chosen = np.zeros((2, len(drops))), np.zeros((2, len(drops))), []
    for side, learnt in enumerate((half, ~half)):
        for at, drop in enumerate(drops):
            kept = metric[:, learnt].mean(1) >= -drop
            best = int(np.where(kept, leak[:, learnt].mean(1), np.inf).argmin())
            found[side, at], paid[side, at] = leak[best, ~learnt].mean(), -metric[best, ~learnt].mean()
            chosen.append(names[best])
    return Front(found.mean(0), paid.mean(0), tuple(chosen))


def leaks(cells: Sequence[Mapping[str, Any]], *, key: str = "file_each") -> dict[str, Floats]:
    """Return the fronts of each set of rows, means over the cells of a task, (tasks, drops)."""
    return {
        name: by_task(cells, [front(one["rows"], rows, key=key).leak for one in cells]) for name, rows in FRONTS.items()
    }


def interval(values: Floats) -> tuple[float, float, float]:
    """Return the mean over tasks and its 95 % interval by bootstrap over tasks."""
    draws = stream(0, "protect", "tasks").integers(len(values), size=(10_000, len(values)))
    low, high = np.percentile(values[draws].mean(1), [2.5, 97.5])
    return float(values.mean()), float(low), float(high)


def by_task(cells: Sequence[Mapping[str, Any]], values: Sequence[Floats]) -> Floats:
    """Return the mean over the cells of each task, (tasks, ...)."""
    tasks = [cell["task"] for cell in cells]
    grouped = {one: [v for t, v in zip(tasks, values, strict=True) if t == one] for one in dict.fromkeys(tasks)}
    return np.array([np.mean(each, axis=0) for each in grouped.values()])
