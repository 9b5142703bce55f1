"""Where an audit's processor time goes: `leaq audit`, its stages timed from inside, beside an earlier checkout's.

Each function that stands for a stage is wrapped; what a stage calls of another stage is counted there alone. An earlier
checkout has other names for them: of each stage the first that is there is wrapped, and what has no name is "the rest".
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.speed.machine import ROOT, commit

STAGES = {
    "load and embed": ["leaq.pipeline.preparing:load", "leaq.pipeline:load"],
    "estimate of the cost": ["leaq.pipeline.cost:estimated_cost", "leaq.costing:cost"],
    "train": ["leaq.pipeline.subjects.heads:train", "leaq.pipeline:train"],
    "quantize, evaluate": ["leaq.study.tasks:chunk"],
    "rate": ["leaq.pipeline.rows:rate", "leaq.measuring:rate"],
    "finite sample": ["leaq.pipeline.rows:finite_sample", "leaq.measuring:finite_sample"],
    "forecast": ["leaq.pipeline.flow:with_forecasts", "leaq.measuring:foreseen"],
    "attacks": ["leaq.pipeline.rows:How.attacked", "leaq.measuring:run_attacks"],
    "metrics, other indicators": ["leaq.study.tasks:audit_samples"],
    "report": ["leaq.reporting.html:write_report"],
}
IMPORTS = ("leaq.study.tasks", "leaq.pipeline.flow", "leaq.pipeline.rows", "leaq.reporting.html", "leaq.cli.main")
INSIDE = """
import importlib, json, sys, time
STAGES, IMPORTS, WHERE, WORDS = json.loads(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3], sys.argv[4:]
for name in IMPORTS:
    try:
        importlib.import_module(name)
    except ImportError:
        pass
taken, running = {"imports": time.process_time()}, []
def wrapped(stage, function):
    def run(*args, **kwargs):
        started = time.process_time()
        if running:
            taken[running[-1][0]] = taken.get(running[-1][0], 0.0) + started - running[-1][1]
        running.append([stage, started])
        try:
            return function(*args, **kwargs)
        finally:
            ended = time.process_time()
            taken[stage] = taken.get(stage, 0.0) + ended - running.pop()[1]
            if running:
                running[-1][1] = ended
    return run
for stage, places in STAGES.items():
    for place in places:
        module, _, path = place.partition(":")
        try:
            owner = importlib.import_module(module)
            *inner, name = path.split(".")
            for one in inner:
                owner = getattr(owner, one)
            setattr(owner, name, wrapped(stage, getattr(owner, name)))
        except (ImportError, AttributeError):
            continue
        break
from leaq.cli.main import main
sys.argv = ["leaq", *WORDS]
try:
    main()
except SystemExit as end:
    assert not end.code, end
taken["the rest"] = time.process_time() - sum(taken.values())
open(WHERE, "w").write(json.dumps(taken))
"""


def timed(source: str, checkout: Path) -> dict[str, float]:
    """Return the processor seconds of each stage of `leaq audit SOURCE` by the code of a checkout."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        words = ["audit", source, "--out", f"{folder}/run", "--report", f"{folder}/report.html"]
        line = [sys.executable, "-c", INSIDE, json.dumps(STAGES), json.dumps(IMPORTS), str(found), *words]
        # With the bytecode that whoever runs it a second time has.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment |= {"PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-m", "compileall", "-q", str(checkout / "src")], env=environment, check=True)
        done = subprocess.run(line, env=environment, capture_output=True, text=True, cwd=folder, check=False)
        if done.returncode:
            raise SystemExit(f"leaq audit {source} in {checkout} failed: {done.stderr[-800:]}")
        return dict(json.loads(found.read_text()))


def measure(*, quick: bool, before: Path | None) -> list[dict[str, object]]:
    sources = ("breast_cancer",) if quick else ("breast_cancer", "freesolv")
    sides = [("now", ROOT)] + ([("before", before)] if before else [])
    return [
        {"source": source, "side": side, "commit": commit(checkout), "seconds": timed(source, checkout)}
        for source in sources
        for side, checkout in sides
    ]


def body(rows: list[dict]) -> str:
    told = []
    for source in dict.fromkeys(row["source"] for row in rows):
        mine = {row["side"]: row for row in rows if row["source"] == source}
        sides = [side for side in ("before", "now") if side in mine]
        names = ["imports", *STAGES, "the rest"]
        heads = " | ".join(f"{side} ({mine[side]['commit']})" for side in sides)
        told += ["", f"| `leaq audit {source}`, processor s | {heads} |"]
        told += ["|---|" + "---|" * len(sides)]
        for name in names:
            told.append(f"| {name} | " + " | ".join(f"{mine[s]['seconds'].get(name, 0.0):.2f}" for s in sides) + " |")
        sums = [sum(mine[s]["seconds"].values()) for s in sides]
        told.append("| **all** | " + " | ".join(f"**{value:.1f}**" for value in sums) + " |")
    return "\n".join(told).strip()
