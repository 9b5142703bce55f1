"""A study of equal cells by one worker and by two, of each engine: wall seconds, and what the driver takes of a core.

Beside it what the machine allows: plain matrix products in one process and in two at once. To be run on an idle machine.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import closing

from leaq.errors import MissingExtra
from leaq.study import Study, run_study
from leaq.study.engines import make_engine
from leaq.training import TrainingConfig

WORKERS = (1, 2)
PRODUCTS = """
import time, torch
torch.set_num_threads(1)
a = torch.randn(16, 32, 128)
b = torch.randn(16, 128, 128)
for rounds in (200, {rounds}):
    started = time.perf_counter()
    for _ in range(rounds):
        torch.bmm(a, b)
print(time.perf_counter() - started)
"""
"""What training mostly does, without anything of leaq."""


def study(cells: int) -> Study:
    """Return cells of some seconds each, beside which starting a worker is little."""
    head = TrainingConfig(hidden=(64,), epochs=20)
    return Study(
        data=("breast_cancer",), heads=(head,), seeds=tuple(range(cells)), quantizers=("sign", "uniform(bits=4)"),
        audit={"replicates": 48, "threads": 1},
    )  # fmt: skip


def used(who: int) -> float:
    found = resource.getrusage(who)
    return found.ru_utime + found.ru_stime


def allowed(rounds: int) -> float:
    """Return how many times the work of one process two at once do in the same time, each with products of its own."""

    def taken(processes: int) -> float:
        line = [sys.executable, "-c", PRODUCTS.format(rounds=rounds)]
        ran = [subprocess.Popen(line, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
        return max(float(one.communicate()[0]) for one in ran)

    return 2 * taken(1) / taken(2)


def measure(*, quick: bool) -> list[dict[str, object]]:
    rows, cells = [], 2 if quick else 16
    rows.append({"engine": "plain products", "workers": 2, "faster": allowed(500 if quick else 20_000)})
    run_study(study(1), tempfile.mkdtemp())  # what this process imports is no part of any
    for name in ("processes", "ray"):
        for workers in WORKERS:
            with tempfile.TemporaryDirectory() as folder:
                load = os.getloadavg()[0]
                started, before, under = time.perf_counter(), used(resource.RUSAGE_SELF), used(resource.RUSAGE_CHILDREN)
                try:
                    with closing(make_engine(name, workers=workers)) as engine:
                        ready = time.perf_counter()
                        outcome = run_study(study(cells), folder, engine=engine)
                        ended = time.perf_counter()
                except MissingExtra:
                    continue
                driver, all_of_them = used(resource.RUSAGE_SELF) - before, used(resource.RUSAGE_CHILDREN) - under
            assert outcome.computed == cells, outcome.describe()
            rows.append(
                {"engine": name, "workers": workers, "cells": cells, "wall": ended - ready, "start": ready - started,
                 "driver": driver, "workers_seconds": all_of_them, "load": load}
            )  # fmt: skip
            print(rows[-1], flush=True)
    return rows


def body(rows: list[dict]) -> str:
    limit = [row["faster"] for row in rows if "faster" in row]
    rows = [row for row in rows if "wall" in row]
    lines = [
        f"{rows[0]['cells']} equal cells (breast_cancer, 3 quantizers, 48 models) on a machine of {os.cpu_count()} cores, seconds; "
        "the load is that of the machine before the run, so that wall time says something only where it is low. The driver hands "
        "out the tasks:\n",
        "| engine | workers | wall | times faster than one | driver, share of a core | starting the engine | load before |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    alone = {row["engine"]: row["wall"] for row in rows if row["workers"] == 1}
    for row in rows:
        faster = f"{alone[row['engine']] / row['wall']:.2f}" if row["workers"] > 1 and row["engine"] in alone else ""
        share = row["driver"] / (row["wall"] + row["start"])
        lines.append(
            f"| {row['engine']} | {row['workers']} | {row['wall']:.0f} | {faster} | {share:.1%} | {row['start']:.1f} | "
            f"{row['load']:.1f} |"
        )
    if limit:
        lines += [
            "",
            f"Two processes of plain matrix products, without anything of leaq, did {limit[0]:.2f} times the work of one.",
        ]
    return "\n".join(lines)
