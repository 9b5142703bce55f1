"""The verbs that read a study of thousands of cells: processor seconds of the whole process, and its peak memory.

One audit of wine with three quantizers is computed; its cells are that audit with other names, seeds and numbers moved
within their intervals, stored and summed up as a run does.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from leaq.results import CellResult
from leaq.seeds import stream
from leaq.study import Rules, Store, Study, run_study
from leaq.system.checksummed import json_with_checksum
from leaq.training import TrainingConfig

HEAD = TrainingConfig(hidden=(8,), epochs=6, checkpoints=4)
STUDY = Study(
    data=("wine",), heads=(HEAD,), seeds=(0,), quantizers=("sign", "uniform(bits=4)"), audit={"replicates": 4}
)
SEEDS = 10
"""Seeds of a data set: 5,000 cells are 500 data sets."""
VERBS: dict[str, list[str]] = {
    "leaq show": ["show"],
    "leaq show --json": ["show", "--json"],
    "leaq decide": ["decide"],
    "leaq decide --all --max-leak 0.1": ["decide", "--all", "--max-leak", "0.1"],
    "leaq show --report": ["show", "--report", "{folder}/report.html"],
}
FRAME = "import sys; from leaq.study import Store; print(len(Store(sys.argv[1]).frame()))"


def moved(value: Any, rng: np.random.Generator) -> Any:
    """Return nested JSON with every estimate moved by up to a tenth of its interval."""
    if isinstance(value, list):
        return [moved(item, rng) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("kind") == "estimate" and all(isinstance(value[key], float) for key in ("value", "low", "high")):
        by = float(rng.uniform(-0.1, 0.1)) * (value["high"] - value["low"])
        return {**value, **{key: value[key] + by for key in ("value", "low", "high")}}
    return {key: moved(item, rng) for key, item in value.items()}


def fill(folder: Path, cells: int) -> None:
    """Make the run folder."""
    run_study(STUDY, folder, rules=Rules())
    store = Store(folder)
    first = store.stored()[0]
    plain = json.loads(store.read(first).to_json(timings=False))
    base, _, records = first.rpartition("-")
    for at in range(1, cells):
        found = moved(plain, stream(0, "many-cells", at))
        found["data"] = {**found["data"], "name": f"table-{at // SEEDS}"}
        found["config"] = {**found["config"], "source": f"table-{at // SEEDS}", "seed": at % SEEDS}
        key = f"{base}{at:05d}-{records}"
        text = CellResult.from_plain(found).to_json(timings=False) + "\n"
        store.cell_path(key).write_bytes(json_with_checksum(text, kind="cell", key=key))
    store.write_table()


TIMER = """import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, used = os.wait4(process.pid, 0)
print(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss)"""
"""In a process of its own, so that the peak is of the one command alone."""


def timed(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Return processor seconds and peak memory in GB of a process and what it waited for."""
    line = [sys.executable, "-c", TIMER, *command]
    done = subprocess.run(line, check=True, capture_output=True, text=True, env=environment)
    status, seconds, kilobytes = done.stdout.split()
    failing = "--max-leak" in command  # exit code 1: the limit is not kept
    if int(status) != failing or "Traceback" in done.stderr:
        raise SystemExit(f"{command} ended with {status}: {done.stderr[-500:]}")
    return float(seconds), float(kilobytes) / 1e6


def measure(*, quick: bool) -> list[dict[str, object]]:
    cells, rows = 300 if quick else 5000, []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "run"
        fill(folder, cells)
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        runs = {
            name: [
                sys.executable,
                "-m",
                "leaq",
                verb[0],
                str(folder),
                *(word.format(folder=folder) for word in verb[1:]),
            ]
            for name, verb in VERBS.items()
        }
        runs["Store.frame"] = [sys.executable, "-c", FRAME, str(folder)]
        for name, command in runs.items():
            seconds, memory = timed(command, environment)
            rows.append({"what": name, "at": cells, "seconds": seconds, "memory": memory})
    return rows


def body(rows: list[dict]) -> str:
    lines = [f"| of {rows[0]['at']:,} cells | processor s | memory, GB |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| `{row['what']}` | {row['seconds']:.1f} | {row['memory']:.2f} |" for row in rows)])
