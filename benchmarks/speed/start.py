"""How long nothing takes: help, an error, the libraries that an audit needs."""

import os
import resource
import subprocess
import sys

from benchmarks.speed.machine import ROOT

RUNS = {
    "`leaq --help`": ["-m", "leaq", "--help"],
    "`leaq audit --help`": ["-m", "leaq", "audit", "--help"],
    "`leaq audit nothing.csv --target y` (an error)": ["-m", "leaq", "audit", "nothing.csv", "--target", "y"],
    "`leaq list quantizers`": ["-m", "leaq", "list", "quantizers"],
    "`import leaq`": ["-c", "import leaq"],
    "`import torch`": ["-c", "import torch"],
    "everything that an audit imports": ["-c", "import leaq.pipeline.flow, leaq.study.tasks"],
    "`pytest --collect-only`": ["-m", "pytest", "--collect-only", "-q"],
}


def measure(*, quick: bool) -> list[dict[str, object]]:
    rows = []
    for name, words in RUNS.items():
        taken = []
        for _ in range(2 if quick else 4):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            subprocess.run([sys.executable, *words], env=environment, cwd=ROOT, capture_output=True, check=False)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        rows.append({"what": name, "seconds": min(taken)})
    return rows


def body(rows: list[dict]) -> str:
    lines = ["| start | processor s |", "|---|---|"]
    return "\n".join([*lines, *(f"| {row['what']} | {row['seconds']:.2f} |" for row in rows)])
