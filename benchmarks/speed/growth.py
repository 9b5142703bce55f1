"""How time and memory grow with records, models, quantizers, outputs and columns, and what was said of them beforehand.

Made-up records, one audit a process, one thread. What an audit says before it starts is kept beside what it took.
"""

import json
import os
import resource
import subprocess
import sys
import time

import numpy as np

from leaq.data import load
from leaq.embedders import embed
from leaq.pipeline import audit_samples
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.cost import estimated_cost
from leaq.training import TrainingConfig

USUAL = {"records": 4000, "columns": 20, "outputs": 2, "quantizers": 1, "models": 16, "hidden": 64, "epochs": 4}
AXES = {
    "records": (1000, 4000, 16_000, 50_000),
    "models": (8, 16, 32, 64),
    "quantizers": (1, 3, 6, 9),
    "outputs": (2, 10, 30, 100),
    "columns": (20, 200, 2000, 20_000),
}
QUICK = 3
"""Points of each axis of a quick run."""
SCHEMES = (
    *("sign", "ternary(sparsity=0.5)", "ternary(sparsity=0.9)", "uniform(bits=2)", "uniform(bits=3)"),
    *("uniform(bits=4)", "uniform(bits=8)", "ternary(sparsity=0.75)", "ternary(sparsity=0.33)"),
)


def audited(at: dict[str, int]) -> dict:
    """Audit made-up records in this process; return what was said of it and what it took."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(at["records"], at["columns"])).astype(np.float32)
    pull = x @ rng.normal(size=(at["columns"], at["outputs"])) / at["columns"] ** 0.5
    y = (pull + 0.5 * rng.gumbel(size=pull.shape)).argmax(1)
    training = TrainingConfig(hidden=(at["hidden"],), epochs=at["epochs"])
    config = AuditConfig(
        source="made up", quantizers=SCHEMES[: at["quantizers"]], replicates=at["models"], training=training, threads=1
    )
    samples = embed(load((x, y), task="classification"), "identity")
    config = config.but(task=samples.task, embedder="identity")
    said = estimated_cost(samples, config)
    started, last = time.process_time(), ["training", time.process_time()]
    stages: dict[str, float] = {}

    def watch(what: str, _done: int, _total: int) -> None:
        now = time.process_time()
        stages[what] = stages.get(what, 0.0) + now - last[1]
        last[:] = [what, now]

    audit_samples(samples, config, progress=watch)
    stages["measuring"] = stages.get("measuring", 0.0) + time.process_time() - last[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "said_seconds": said.seconds, "seconds": time.process_time() - started, "stages": stages,
        "said_bytes": said.memory, "bytes": peak,
    }  # fmt: skip


def measure(*, quick: bool) -> list[dict[str, object]]:
    rows, done = [], dict[str, dict]()
    for axis, values in AXES.items():
        for value in values[:QUICK] if quick else values:
            setting = {**USUAL, axis: value}
            text = json.dumps(setting)
            if text not in done:
                line = [sys.executable, "-m", "benchmarks.speed.growth", text]
                environment = {**os.environ, "OMP_NUM_THREADS": "1"}
                ran = subprocess.run(line, env=environment, capture_output=True, text=True, check=True)
                done[text] = json.loads(ran.stdout.splitlines()[-1])
                print(axis, value, ran.stdout.strip()[-300:], flush=True)
            rows.append({"axis": axis, "at": value, **done[text]})
    return rows


def body(rows: list[dict]) -> str:
    lines = [
        "![Seconds by stage, and memory, against records, models, quantizers, outputs and columns](img/growth.svg)\n",
        "| axis | | training | evaluating | measuring | s in all | said | off by | memory, GB | said | off by |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        parts = " | ".join(f"{row['stages'].get(name, 0.0):.1f}" for name in ("training", "evaluating", "measuring"))
        off = [row[f"said_{name}"] / row[name] - 1 for name in ("seconds", "bytes")]
        lines.append(
            f"| {row['axis']} | {row['at']:,} | {parts} | {row['seconds']:.1f} | {row['said_seconds']:.1f} | {off[0]:+.0%} | "
            f"{row['bytes'] / 1e9:.2f} | {row['said_bytes'] / 1e9:.2f} | {off[1]:+.0%} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(json.dumps(audited(json.loads(sys.argv[1]))))
