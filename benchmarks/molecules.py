"""Six molecular tasks x four embedders of different kinds: accuracy and leak under every quantizer.

    python benchmarks/molecules.py --data-dir FOLDER --weights-dir FOLDER --out molecules.md

FOLDER holds ``<task>.csv`` (columns smiles, target) and the pretrained weights; without them they are downloaded. The
settings are small so that the whole table takes minutes on one core: 8 models a cell (7 shadows a target), 30 epochs.
Finished cells are kept in --runs, so that an interrupted run goes on.
"""

import argparse
import os
import time
from pathlib import Path

from leaq.pipeline.cell import AuditConfig
from leaq.results import CellResult, QuantizerRow
from leaq.study import audit_into
from leaq.training import TrainingConfig
from leaq.types import AttackResult, Estimate

TASKS = {
    "bbb_martins": {},
    "herg": {},
    "bioavailability_ma": {},
    "caco2_wang": {},
    "half_life_obach": {"log_target": True},
    "lipophilicity_astrazeneca": {},
}
EMBEDDERS = {
    "ecfp4": "fingerprint, 2048 bits",
    "descriptors": "217 RDKit descriptors",
    "gat_contextpred": "pretrained graph network, 300",
    "chemvae_zinc": "pretrained SMILES network, 196",
}
QUANTIZERS = ("sign", "ternary(sparsity=0.5)", "uniform(bits=4)", "uniform(bits=8)")
TRAINING = TrainingConfig(hidden=(64,), epochs=30, checkpoints=6)
REPLICATES, DRAWS = 8, 100


def config(task: str, embedder: str) -> AuditConfig:
    return AuditConfig(
        source=task,
        embedder=embedder,
        quantizers=QUANTIZERS,
        replicates=REPLICATES,
        training=TRAINING,
        draws=DRAWS,
        skip_invalid=True,
        **TASKS[task],
    )


def number(found: object, digits: int = 2) -> str:
    if not isinstance(found, Estimate):
        return "not computed"
    return f"{found.value:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def leak(row: QuantizerRow, attack: str) -> str:
    found = row.attacks[attack]
    return number(found.advantage) if isinstance(found, AttackResult) else "not computed"


def table(cells: list[tuple[str, str, CellResult, float]], what: str) -> list[str]:
    labels = [row.label for row in cells[0][2].rows]
    lines = [f"| task | embedder | n | metric | {' | '.join(labels)} |", "|---" * (4 + len(labels)) + "|"]
    for task, embedder, result, _ in cells:
        name = {"roc_auc": "ROC AUC", "r2": "R2"}[result.primary_metric]
        values = [
            number(row.metrics[result.primary_metric]) if what == "metric" else leak(row, what) for row in result.rows
        ]
        shown = name if what == "metric" else what
        lines.append(f"| {task} | {embedder} | {result.data['n']} | {shown} | {' | '.join(values)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir")
    parser.add_argument("--weights-dir")
    parser.add_argument("--runs", default="runs/benchmark-molecules")
    parser.add_argument("--out", default="molecules-benchmark.md")
    parser.add_argument("--tasks", default=",".join(TASKS))
    given = parser.parse_args()
    for variable, folder in (("LEAQ_DATA_DIR", given.data_dir), ("LEAQ_WEIGHTS_DIR", given.weights_dir)):
        if folder:
            os.environ[variable] = folder
    cells = []
    for task in given.tasks.split(","):
        for embedder in EMBEDDERS:
            started, cpu = time.perf_counter(), time.process_time()
            result = audit_into(config(task, embedder), Path(given.runs) / f"{task}-{embedder}")
            wall, seconds = time.perf_counter() - started, time.process_time() - cpu
            print(f"{task} {embedder}: n={result.data['n']}, {wall:.0f} s wall, {seconds:.0f} s of CPU", flush=True)
            cells.append((task, embedder, result, seconds))
    lines = [
        f"{REPLICATES} models a cell, {TRAINING.epochs} epochs, hidden {TRAINING.hidden}; 95 % intervals from {DRAWS} "
        f"bootstrap draws over models and records; {sum(cell[3] for cell in cells):.0f} s of CPU time in all.",
        "",
        "Task metric on records that trained no part of the model:",
        "",
        *table(cells, "metric"),
        "",
        "Leak: advantage (TPR - FPR) of the strongest attack measured, pool game:",
        "",
        *table(cells, "lira"),
    ]
    Path(given.out).write_text("\n".join(lines) + "\n")
    print(f"written: {given.out}")


if __name__ == "__main__":
    main()
