"""What models of molecules give away, trained end to end or not, under each quantizer and protected: one table.

    OMP_NUM_THREADS=1 LEAQ_DATA_DIR=FOLDER LEAQ_WEIGHTS_DIR=FOLDER python -m benchmarks.end_to_end RESULTS
    python -m benchmarks.end_to_end RESULTS --page

What was measured so far lies in benchmarks/results/end_to_end.

LEAQ_DATA_DIR holds ``<task>.csv`` (columns smiles, target), LEAQ_WEIGHTS_DIR the pretrained weights; without them they
are downloaded. One JSON file a task and model is written into RESULTS once it is measured, so that a run that was
stopped goes on; --page writes what is there into docs/molecules.md. The attacker sees outputs alone, so that the
forest, which has no weights, is told by the same attack.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial, reduce
from pathlib import Path
from typing import Any

import pandas as pd

import leaq
from benchmarks.end_to_end_page import write
from leaq.data.splits import halves
from leaq.data.tasks import fetch, find
from leaq.pipeline import audit_samples
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.measuring import measure_references
from leaq.pipeline.preparing import prepare
from leaq.pipeline.rows import primary_metric
from leaq.results import QuantizerRow
from leaq.training import TrainingConfig
from leaq.types import AttackResult, Estimate, silent

TASKS = (
    *("dili", "hia_hou", "freesolv", "bioavailability_ma", "herg"),
    *("half_life_obach", "caco2_wang", "esol", "tox21"),
)
"""Smallest first."""
TOX21 = {"NR-AhR": "tox21_nr_ahr", "SR-MMP": "tox21_sr_mmp"}
"""Where the whole of Tox21 is not at hand: two of its twelve tasks, brought together with their holes."""
MOST = 1000
"""Molecules of Tox21 that are drawn."""
QUANTIZERS = ("uniform(bits=8)", "uniform(bits=4)", "uniform(bits=3)", "sign", "ternary(sparsity=0.9)")
REFERENCES = ("forest", "boosting", "knn")
ATTACK = "combined(sees=outputs)"
MODELS, DRAWS, DROP = 16, 100, 0.02
HEADS = TrainingConfig(checkpoints=1)
GRAPHS = TrainingConfig(epochs=60, checkpoints=1)
TUNED = TrainingConfig(epochs=20, checkpoints=1)
PROTECTED = {"tuned": 8}
"""Models that `leaq.protect` trains of a kind, where they are fewer: fine-tuning is dear."""
KINDS: dict[str, dict[str, Any]] = {
    "perceptron": {"training": HEADS},
    "frozen": {"embedder": "gcn_contextpred", "training": HEADS},
    "dmpnn": {"model": "dmpnn(hidden=64)", "training": GRAPHS},
    "tuned": {"model": "gcn_contextpred", "training": TUNED},
}
"""Models by name: what of the configuration makes them."""


def config(task: str, **change: Any) -> AuditConfig:
    options = {"quantizers": QUANTIZERS, "replicates": MODELS, "attacks": ("threshold", ATTACK), "draws": DRAWS}
    return AuditConfig(**{**source_of(task), **options, **change})


def source_of(task: str) -> dict[str, Any]:
    """Return what names the records: a catalogued task, or some molecules of Tox21 with the tasks that are there."""
    if task != "tox21":
        return {"source": task, "log_target": task == "half_life_obach"}
    path = Path(tempfile.gettempdir()) / "leaq-tox21.csv"  # molecules are no results
    if find("tox21") is not None:
        whole = pd.read_csv(fetch("tox21"))
        targets = [name for name in whole if name not in ("smiles", "mol_id")]
    else:
        parts = [pd.read_csv(fetch(name)).rename(columns={"target": task}) for task, name in TOX21.items()]
        whole, targets = reduce(lambda one, other: one.merge(other, on="smiles", how="outer"), parts), list(TOX21)
    whole.sort_values("smiles").sample(MOST, random_state=0).to_csv(path, index=False)
    return {"source": str(path), "smiles": "smiles", "target": ",".join(targets), "skip_invalid": True}


def numbers(found: object) -> list[float] | None:
    return [round(value, 5) for value in (found.value, found.low, found.high)] if isinstance(found, Estimate) else None


def plain(row: QuantizerRow, metric: str) -> dict[str, Any]:
    attack = row.attacks[ATTACK]
    found = isinstance(attack, AttackResult)
    return {
        "quantizer": row.quantizer, "label": row.label, "metric": numbers(row.metrics.get(metric)),
        "advantage": numbers(attack.advantage) if found else None, "tpr": numbers(attack.tpr[0.01]) if found else None,
    }  # fmt: skip


def audited(task: str, kind: str) -> dict[str, Any]:
    """Audit one model of one task under every quantizer."""
    samples, resolved = prepare(config(task, **KINDS[kind]))
    metric, result = primary_metric(samples), audit_samples(samples, resolved)
    return {"n": len(samples), "metric": metric, "rows": [plain(row, metric) for row in result.rows]}


def referred(task: str, _kind: str) -> dict[str, Any]:
    """Attack the classical models of one task."""
    samples, resolved = prepare(config(task, references=REFERENCES))
    members, metric = halves(samples, MODELS, seed=resolved.seed), primary_metric(samples)
    rows = measure_references(resolved, samples, members, progress=silent)
    return {"n": len(samples), "metric": metric, "rows": [plain(row, metric) for row in rows]}


def protected(task: str, kind: str) -> dict[str, Any]:
    """Let `leaq.protect` choose a release; its audit has full precision on the same records."""
    training = KINDS[kind]["training"].model_copy(update={"checkpoints": 20})  # training less is one of the releases
    models = PROTECTED.get(kind, MODELS)
    change = {**KINDS[kind], "training": training, "quantizers": ("protect",), "replicates": models}
    found = leaq.protect(config(task, **change), max_drop=DROP)
    rows = [plain(row, found.metric) for row in found.audit.rows]
    counts = {"n": found.audit.data["n"], "models": models, "tried": len(found.tried)}
    return {**counts, "metric": found.metric, "rows": rows}


def keep(name: str, measure: Callable[[], Mapping[str, Any]], results: Path) -> None:
    """Measure one cell and write it down, unless it is there."""
    path = results / f"{name}.json"
    if path.is_file():
        return
    started = time.process_time()
    found = {**measure(), "seconds": round(time.process_time() - started, 1)}
    beside = path.with_suffix(f".{os.getpid()}")
    beside.write_text(json.dumps(found) + "\n", encoding="utf-8")
    beside.replace(path)
    print(f"{name}: {found['seconds']} s of CPU time", *found["rows"], sep="\n  ", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--tasks", nargs="*", default=TASKS)
    parser.add_argument("--kinds", nargs="*", default=(*KINDS, "references"))
    parser.add_argument("--protect", nargs="*", default=tuple(KINDS))
    parser.add_argument("--page", action="store_true")
    args = parser.parse_args()
    if args.page:
        write(args.results)
        return
    args.results.mkdir(parents=True, exist_ok=True)
    for kind in args.kinds:
        for task in args.tasks:
            measure = referred if kind == "references" else audited
            keep(f"{task}-{kind}", partial(measure, task, kind), args.results)
    for kind in args.protect:
        for task in args.tasks:
            keep(f"{task}-{kind}-protect", partial(protected, task, kind), args.results)


if __name__ == "__main__":
    main()
