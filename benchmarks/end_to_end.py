"""Frozen fingerprints, a graph network trained end to end, and a forest: what each gives away, on the same molecules.

    OMP_NUM_THREADS=1 LEAQ_DATA_DIR=FOLDER python benchmarks/end_to_end.py --out end-to-end.md

FOLDER holds ``<task>.csv`` (columns smiles, target); without it they are downloaded. The attacker sees outputs alone, so
that the forest, which has no weights, is told by the same attack. Each finished task is printed at once.
"""

import argparse
import tempfile
import time
from functools import cache, reduce
from pathlib import Path

import pandas as pd

from leaq.data.splits import halves
from leaq.data.tasks import fetch, find
from leaq.pipeline import audit_samples
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.measuring import measure_references
from leaq.pipeline.preparing import prepare
from leaq.results import QuantizerRow
from leaq.training import TrainingConfig
from leaq.types import AttackResult, Estimate, silent

TASKS = (
    "esol",
    "dili",
    "freesolv",
    "herg",
    "caco2_wang",
    "half_life_obach",
    "bioavailability_ma",
    "tox21",
    "bbb_martins",
)
TOX21 = {"NR-AhR": "tox21_nr_ahr", "SR-MMP": "tox21_sr_mmp"}
"""Where the whole of Tox21 is not at hand: two of its twelve tasks, brought together with their holes."""
QUANTIZERS = ("uniform(bits=8)", "uniform(bits=4)", "uniform(bits=3)", "sign", "ternary(sparsity=0.9)")
ATTACK = "combined(sees=outputs)"
MODELS, DRAWS = 16, 100
HEADS = TrainingConfig(checkpoints=1)
GRAPHS = TrainingConfig(epochs=50, schedule="warmup", checkpoints=1)
NETWORK = "dmpnn(hidden=64)"


def config(task: str, **change: object) -> AuditConfig:
    return AuditConfig(
        **source_of(task),
        quantizers=QUANTIZERS,
        replicates=MODELS,
        attacks=("threshold", ATTACK),
        draws=DRAWS,
        **change,
    )


@cache
def source_of(task: str) -> dict[str, str]:
    """Return what names the records: a catalogued task, or the tasks of Tox21 that are there, in one table."""
    if task != "tox21" or find("tox21") is not None:
        return {"source": task}
    parts = [pd.read_csv(fetch(name)).rename(columns={"target": task}) for task, name in TOX21.items()]
    path = Path(tempfile.mkdtemp()) / "tox21.csv"
    reduce(lambda one, other: one.merge(other, on="smiles", how="outer"), parts).to_csv(path, index=False)
    return {"source": str(path), "smiles": "smiles", "target": ",".join(TOX21)}


def number(found: object, digits: int = 2) -> str:
    if not isinstance(found, Estimate):
        return "not computed"
    return f"{found.value:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def line(name: tuple[str, str], n: int, row: QuantizerRow, seconds: str) -> str:
    metric = row.metrics.get("r2", row.metrics.get("roc_auc"))
    attack = row.attacks[ATTACK]
    found = isinstance(attack, AttackResult)
    cells = (
        *name, row.label, str(n), number(metric), number(attack.advantage) if found else "not computed",
        number(attack.tpr[0.01]) if found else "not computed", seconds,
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def lines_of(task: str) -> list[str]:
    found = []
    for model, change in (
        ("ECFP4, perceptron", {"training": HEADS}),
        ("D-MPNN, end to end", {"model": NETWORK, "training": GRAPHS}),
    ):
        started = time.process_time()
        samples, resolved = prepare(config(task, **change))
        result = audit_samples(samples, resolved)
        seconds = f"{time.process_time() - started:.0f}"
        found += [line((task, model), len(samples), row, seconds) for row in result.rows]
    started = time.process_time()
    samples, resolved = prepare(config(task, references=("forest",)))
    members = halves(samples, MODELS, seed=resolved.seed)
    (row,) = measure_references(resolved, samples, members, progress=silent)
    seconds = f"{time.process_time() - started:.0f}"
    return [*found, line((task, "ECFP4, forest"), len(samples), row, seconds)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="*", default=TASKS)
    parser.add_argument("--out", default="end-to-end.md")
    args = parser.parse_args()
    lines = [
        f"{MODELS} models a row, each trained on half of the molecules; {NETWORK}, {GRAPHS.epochs} epochs. Metric: R2, or "
        "of classes ROC AUC, on molecules that trained no part of the model. Leak: what the combined attack of "
        f"who sees outputs finds, 14 shadow models; 95 % intervals from {DRAWS} draws over models and molecules. CPU "
        "seconds of all rows of a model together, one core.",
        "",
        "| task | model | weights | n | metric | advantage | TPR at 1 % FPR | CPU s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for task in args.tasks:
        found = lines_of(task)
        print("\n".join(found), flush=True)
        lines += found
    Path(args.out).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
