"""One cell front to back: THE file that shows the data flow.

    load -> embed -> split -> train -> quantize -> evaluate -> LossTable -> measure -> CellResult

Each model trains on its own half of one pool of records (models 2i and 2i+1 on complementary halves), so every
record is a member of half of the models: held-out metrics, attacks and shadow models all come from one training.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from leaq import measuring
from leaq.attacks.compared import with_comparison
from leaq.calibrating import Calibrations, calibrate, measure_calibrations, planned
from leaq.cell import AuditConfig
from leaq.data import load
from leaq.embedders import embed
from leaq.environment import describe_environment, limited_threads, peak_memory
from leaq.evaluation import evaluate, with_numbers, with_whitebox
from leaq.measuring import measure, measure_together
from leaq.planning import Asked, Found
from leaq.quantizers import Identity
from leaq.results import CellResult, QuantizerRow
from leaq.training import chunks, train
from leaq.types import LossTable, Progress, Samples, silent

__all__ = ["audit", "audit_samples", "chunk", "collect", "prepare"]


def audit(config: AuditConfig, *, data: Any = None, progress: Progress = silent) -> CellResult:
    """Measure what every quantizer gives away about training records, and what it costs in accuracy.

    `data` holds records in memory, a data frame or a pair (X, y), which the configuration's source then only names.

    Examples
    --------
    >>> from leaq.training import TrainingConfig
    >>> quick = TrainingConfig(hidden=(8,), epochs=2, checkpoints=4)
    >>> result = audit(AuditConfig(source="breast_cancer", quantizers=("sign",), replicates=4, training=quick))
    >>> [row.label for row in result.rows]
    ['full precision', 'sign']
    """
    with limited_threads(config.threads):
        samples, resolved = prepare(config, data=data, progress=progress)
        return audit_samples(samples, resolved, progress=progress)


def audit_samples(
    samples: Samples, config: AuditConfig, *, parts: Sequence[Found] = (), progress: Progress = silent
) -> CellResult:
    """Audit embedded records: the second half of `audit`; `parts` are its chunks, where they were trained already."""
    started = time.perf_counter()
    todo = planned(config, samples)
    found = joined(parts) if parts else collect(config, todo, progress=progress)
    trained = time.perf_counter()
    rows, together = measured(config, todo, found, progress=progress)
    result = CellResult(
        config=config.to_dict(),
        data=measuring.describe_data(todo.pool, todo.members, game=config.game),
        rows=rows,
        primary_metric="roc_auc" if samples.task == "classification" else "r2",
        primary_attack=measuring.primary_attack(config),
        environment=describe_environment(config.training.device),
        timings={
            "models_seconds": trained - started,
            "measures_seconds": time.perf_counter() - trained,
            "peak_memory_bytes": float(peak_memory()),
        },
        private=measuring.private_findings(todo.pool, {key: found[key] for key in todo.keys}),
        flags=(*samples.flags, *todo.flags, *measuring.doubts(config, rows)),
        together=together,
    )
    return with_comparison(result, todo.contrasts)


def measured(
    config: AuditConfig, todo: Asked | Calibrations, found: Found, *, progress: Progress
) -> tuple[tuple[QuantizerRow, ...], tuple[QuantizerRow, ...]]:
    """Return one row a quantizer, and one a set of releases."""
    if isinstance(todo, Calibrations):
        return measure_calibrations(config, todo, found), ()
    reference, _ = found[Identity().spec()]
    rows = []
    for done, quantizer in enumerate(todo.quantizers, start=1):
        table, size = found[quantizer.spec()]
        rows.append(measure(quantizer, table, reference, size=size, config=config, features=todo.pool.inputs))
        progress("measuring", done, len(todo.quantizers))
    return tuple(rows), tuple(measure_together(one, found, config=config) for one in todo.sets)


def prepare(config: AuditConfig, *, data: Any = None, progress: Progress = silent) -> tuple[Samples, AuditConfig]:
    """Load and embed the records; return them with the configuration in which nothing is left to "auto"."""
    samples = load(config.source if data is None else data, config, progress=progress)
    embedder = config.embedder
    if embedder == "auto":
        embedder = "ecfp4" if samples.kind == "smiles" else "identity"
    if config.public:
        samples = replace(samples, public=load(config.public, config, progress=progress))
    embedded = embed(samples, embedder, skip_invalid=config.skip_invalid, progress=progress)
    return embedded, config.resolved(task=embedded.task, embedder=embedder)


def collect(config: AuditConfig, todo: Asked | Calibrations, *, progress: Progress) -> Found:
    """Train all models once, a chunk at a time, and evaluate them under every quantizer."""
    parts: list[Found] = []
    runs = chunks(todo.pool, len(todo.members), config.training)
    for index, which in enumerate(runs):

        def step(what: str, done: int, total: int, before: int = index) -> None:
            progress(what, before * total + done, len(runs) * total)

        parts.append(chunk(config, todo, which=which, progress=step))
    return joined(parts)


def joined(parts: Sequence[Found]) -> Found:
    """Return what all chunks of models hold, in their order."""
    return {spec: (LossTable.stack([part[spec][0] for part in parts]), parts[0][spec][1]) for spec in parts[0]}


def chunk(config: AuditConfig, todo: Asked | Calibrations, *, which: slice, progress: Progress) -> Found:
    """One chunk of models: train once, then quantize every checkpoint with the released model's scales, evaluate.

    Of what is released beside the rows' quantizers, the released model alone.
    """
    if isinstance(todo, Calibrations):
        return calibrate(config, todo, which=which, progress=progress)
    samples, members = todo.pool, todo.members[which]
    model, checkpoints = train(
        samples, members, config.training, seed=config.seed, first=which.start, progress=progress
    )
    found: Found = {}
    everything = (*todo.quantizers, *todo.releases)
    for done, quantizer in enumerate(everything, start=1):
        recorded = quantizer.recorded(checkpoints)
        released = recorded.last()
        frozen = quantizer.frozen_to(released, todo.calibration(model, which, quantizer, seed=config.seed))
        candidates = frozen(recorded if quantizer in todo.quantizers else released)
        table = evaluate(model, candidates, samples, members, quantizer=quantizer.spec())
        table = with_whitebox(table, model, candidates, samples) if config.whitebox else table
        table = with_numbers(table, candidates, samples) if config.numbers else table
        found[quantizer.spec()] = (table, frozen.size(released))
        progress("evaluating", done, len(everything))
    return found
