"""Train once a task, release in every way, attack; one JSON file a task, so that an interrupted run goes on."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.protect.settings import (
    CONTROLS,
    EMBEDDER,
    EXISTING,
    MODELS,
    OURS,
    PUBLIC,
    RECORDS,
    TRAINING,
)
from leaq.attacks.base import Context
from leaq.attacks.decisions import signed, thresholds_by_others
from leaq.attacks.registry import build_attack
from leaq.cell import AuditConfig
from leaq.evaluation import evaluate, with_numbers, with_whitebox
from leaq.measures.performance import performance
from leaq.pipeline.planning import Asked, asked, set_aside
from leaq.pipeline.preparing import prepare
from leaq.seeds import stream
from leaq.stats.roc import tpr_at_fpr
from leaq.training import MLP, train
from leaq.types import Checkpoints, Floats, LossTable, Samples

__all__ = ["collect"]

ATTACKS = {"outputs": "combined(sees=outputs)", "file": "combined", "reads": "file"}
STEPS, RATE = 300, 2e-3
"""Of the student's optimiser, on all public records at once."""


def collect(folder: Path, task: str, *, seed: int) -> dict[str, Any]:
    """Return the metric, the advantage of every attack and its TPR at 1 % FPR of each row of a task."""
    started = time.perf_counter()
    config = AuditConfig(
        source=str(folder / f"{task}.csv"), target="target", smiles="smiles", skip_invalid=True, embedder=EMBEDDER,
        quantizers=(*EXISTING[1:], *OURS, *CONTROLS), replicates=MODELS, training=TRAINING, seed=seed,
    )  # fmt: skip
    samples, config = prepare(config)
    if len(samples) > RECORDS:
        samples = samples.take(np.sort(stream(seed, "protect", task).permutation(len(samples))[:RECORDS]))
    pool, public = set_aside(samples, share=PUBLIC, seed=seed)
    todo = asked(config, replace(pool, public=public))
    model, checkpoints = train(todo.pool, todo.members, config.training, seed=seed)
    rows: dict[str, Any] = {}
    for name, released in _releases(config, todo, model, checkpoints):
        begun = time.perf_counter()
        rows[name] = _measured(_table(model, released, todo), todo.pool)
        row = rows[name]
        took = time.perf_counter() - begun
        print(
            f"{task:28s} {name:72s} {row['metric']:.3f} {row['outputs']:+.3f} {row['file']:+.3f} {took:5.1f} s",
            flush=True,
        )
    assert todo.aside is not None
    counts = {"n": len(todo.pool), "public": len(todo.aside), "members": round(float(todo.members.sum(1).mean()))}
    return {"task": task, "kind": samples.task, **counts, "seconds": time.perf_counter() - started, "rows": rows}


def _releases(
    config: AuditConfig, todo: Asked, model: MLP, checkpoints: Checkpoints
) -> Iterator[tuple[str, Checkpoints]]:
    """Yield the released models of each row asked for, then the student."""
    asked_for = {*EXISTING, *OURS, *CONTROLS}
    every = slice(0, MODELS)
    for quantizer in todo.quantizers:
        if quantizer.spec() in {_spelled(one) for one in asked_for}:
            released = quantizer.recorded(checkpoints).last()
            calibration = todo.calibration(model, every, quantizer, seed=config.seed)
            yield quantizer.spec(), quantizer.frozen_to(released, calibration)(released)
    assert todo.aside is not None
    yield "student", _student(model, checkpoints.last(), todo.aside, seed=config.seed)


def _spelled(spec: str) -> str:
    from leaq.quantizers import build

    return build(spec).spec()


def _student(model: MLP, teacher: Checkpoints, public: Samples, *, seed: int) -> Checkpoints:
    """Return models of the same architecture that learnt the teachers' outputs on public records, from scratch.

    Distillation for membership privacy (Shejwalkar and Houmansadr, arXiv 1906.06589v3), with the public records there
    are; scalers are the teachers'.
    """
    x = torch.tensor(public.inputs, dtype=torch.float32)
    with torch.no_grad():
        goal = model.forward(teacher.params, x)
    unit = goal.std(1, keepdim=True).clamp_min(1e-6)
    params = model.init(seed + 1, range(teacher.batch[0]))
    free = {name: tensor.requires_grad_() for name, tensor in params.items() if teacher.roles[name] != "scaler"}
    fixed = {name: teacher.params[name] for name in params if name not in free}
    optimizer = torch.optim.Adam(list(free.values()), lr=RATE)
    for _ in range(STEPS):
        loss = ((model.forward({**free, **fixed}, x) - goal) / unit).square().mean((1, 2)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return teacher.replace({name: tensor.detach() for name, tensor in free.items()})


def _table(model: MLP, released: Checkpoints, todo: Asked) -> LossTable:
    table = evaluate(model, released, todo.pool, todo.members)
    return with_numbers(with_whitebox(table, model, released, todo.pool), released, todo.pool)


def _measured(table: LossTable, pool: Samples) -> dict[str, Any]:
    """Return the mean over models of metric, advantages and rates, and each model's own."""
    name = "r2" if table.task == "regression" else "roc_auc"
    each = [_metric(table, model, name) for model in range(len(table.members))]
    found: dict[str, Any] = {"metric": float(np.mean(each)), "metrics": each}
    context = Context(table, features=pool.inputs)
    for key, spec in ATTACKS.items():
        advantages, tpr = _achieved(build_attack(spec).scores(context, range(len(table.members))), table)
        found |= {key: float(advantages.mean()), f"{key}_each": advantages.tolist(), f"{key}_tpr": tpr}
    return found


def _metric(table: LossTable, model: int, name: str) -> float:
    one = slice(model, model + 1)
    assert table.outputs is not None
    assert table.scores is not None
    alone = replace(
        table, losses=table.losses[one], members=table.members[one], outputs=table.outputs[one],
        scores=table.scores[one], whitebox=None, numbers=None,
    )  # fmt: skip
    return performance(alone, draws=1)[name].value


def _achieved(scores: Floats, table: LossTable) -> tuple[Floats, float]:
    """Return each model's signed advantage at the threshold of the others, and the pooled TPR at 1 % FPR."""
    thresholds = thresholds_by_others(scores, table.members)
    assert thresholds is not None, "the models are too few to give each other thresholds"
    return signed(scores > thresholds[:, None], table.members), tpr_at_fpr(scores.ravel(), table.members.ravel(), 0.01)


def kept(folder: Path, task: str, results: Path, *, seed: int) -> dict[str, Any]:
    """Return what was collected before, or collect it."""
    path = results / f"{task}-{seed}.json"
    if path.is_file():
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    found = collect(folder, task, seed=seed)
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found
