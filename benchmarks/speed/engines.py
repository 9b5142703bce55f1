"""A study of equal cells by each engine: processor and wall seconds, and what the driver takes of them."""

import os
import resource
import tempfile
import time

from leaq.study import Rules, Study, run_study
from leaq.training import TrainingConfig

WORKERS = 2


def study(cells: int, epochs: int) -> Study:
    head = TrainingConfig(hidden=(64,), epochs=epochs)
    return Study(
        data=("breast_cancer",), heads=(head,), seeds=tuple(range(cells)), quantizers=("sign", "uniform(bits=4)"),
        audit={"replicates": 16, "threads": 1},
    )  # fmt: skip


def measure(*, quick: bool) -> list[dict[str, object]]:
    rows, cells = [], 4 if quick else 8
    for name in ("local", "processes"):
        with tempfile.TemporaryDirectory() as folder:
            here, there = (resource.getrusage(kind) for kind in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
            started, load = time.perf_counter(), os.getloadavg()[0]
            workers = WORKERS if name == "processes" else None
            outcome = run_study(study(cells, 20), folder, engine=name, workers=workers, rules=Rules())
            wall = time.perf_counter() - started
            taken = [
                after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
                for before, after in (
                    (here, resource.getrusage(resource.RUSAGE_SELF)),
                    (there, resource.getrusage(resource.RUSAGE_CHILDREN)),
                )
            ]
        assert outcome.computed == cells, outcome.describe()
        rows.append(
            {"engine": name, "workers": WORKERS if name == "processes" else 1, "cells": cells, "wall": wall,
             "driver": taken[0], "workers_seconds": taken[1], "load": load}
        )  # fmt: skip
    return rows


def body(rows: list[dict]) -> str:
    lines = [
        f"{rows[0]['cells']} equal cells (breast_cancer, 3 quantizers, 16 models), seconds; the load is that of the machine before "
        "the run, so that wall time says something only where it is low:\n",
        "| engine | workers | wall | processor, this process | processor, workers | load before |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in rows:
        told = f"{row['wall']:.0f} | {row['driver']:.1f} | {row['workers_seconds']:.1f} | {row['load']:.1f}"
        lines.append(f"| {row['engine']} | {row['workers']} | {told} |")
    return "\n".join(lines)
