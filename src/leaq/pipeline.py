"""One cell front to back: THE file that shows the data flow.

    load -> embed -> split -> train -> quantize -> evaluate -> LossTable -> measure -> CellResult

Each model trains on its own half of one pool of records (models 2i and 2i+1 on complementary halves), so every
record is a member of half of the models: held-out metrics, attacks and shadow models all come from one training.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

from leaq.cell import AuditConfig
from leaq.data import load
from leaq.data.splits import halves
from leaq.embedders import embed
from leaq.environment import describe_environment, limited_threads, peak_memory
from leaq.evaluation import evaluate, with_numbers, with_whitebox
from leaq.measuring import describe_data, measure, order_doubt, primary_attack, private_findings, unquantized
from leaq.protocols import EmptyShelf, Shelf
from leaq.quantizers import Calibration, Identity, Scheme, parse_list
from leaq.results import CellResult, Size
from leaq.training import chunks, train
from leaq.types import Bools, LossTable, Progress, Samples, silent

__all__ = ["asked", "audit", "audit_samples", "chunk", "prepare"]


def audit(config: AuditConfig, *, shelf: Shelf | None = None, progress: Progress = silent) -> CellResult:
    """Measure what every quantizer gives away about training records, and what it costs in accuracy.

    `shelf` keeps finished chunks of models, and gives them back after an interruption.

    Examples
    --------
    >>> from leaq.training import TrainingConfig
    >>> quick = TrainingConfig(hidden=(8,), epochs=2, checkpoints=4)
    >>> result = audit(AuditConfig(source="breast_cancer", quantizers=("sign",), replicates=4, training=quick))
    >>> [row.label for row in result.rows]
    ['full precision', 'sign']
    """
    with limited_threads(config.threads):
        samples, resolved = prepare(config, progress=progress)
        return audit_samples(samples, resolved, shelf=shelf, progress=progress)


def audit_samples(
    samples: Samples, config: AuditConfig, *, shelf: Shelf | None = None, progress: Progress = silent
) -> CellResult:
    """Audit embedded records: the second half of `audit`."""
    started = time.perf_counter()
    members, quantizers = asked(config, samples)
    found = collect(config, samples, members, quantizers, shelf=shelf or EmptyShelf(), progress=progress)
    trained = time.perf_counter()
    reference, _ = found[Identity().spec()]
    rows = []
    for done, quantizer in enumerate(quantizers, start=1):
        table, size = found[quantizer.spec()]
        rows.append(measure(quantizer, table, reference, size=size, config=config, features=samples.inputs))
        progress("measuring", done, len(quantizers))
    return CellResult(
        config=config.to_dict(),
        data=describe_data(samples, members),
        rows=tuple(rows),
        primary_metric="roc_auc" if samples.task == "classification" else "r2",
        primary_attack=primary_attack(config),
        environment=describe_environment(config.training.device),
        timings={
            "models_seconds": trained - started,
            "measures_seconds": time.perf_counter() - trained,
            "peak_memory_bytes": float(peak_memory()),
        },
        private=private_findings(samples, found),
        flags=(*samples.flags, unquantized(config.training), *order_doubt([row.measures for row in rows])),
    )


def prepare(config: AuditConfig, *, progress: Progress = silent) -> tuple[Samples, AuditConfig]:
    """Load and embed the records; return them with the configuration in which nothing is left to "auto"."""
    samples = load(config.source, config, progress=progress)
    embedder = config.embedder
    if embedder == "auto":
        embedder = "ecfp4" if samples.kind == "smiles" else "identity"
    if config.training.standardise == "public" and config.public:
        samples = replace(samples, public=load(config.public, config, progress=progress))
    embedded = embed(samples, embedder, skip_invalid=config.skip_invalid, progress=progress)
    return embedded, config.resolved(task=embedded.task, embedder=embedder)


def asked(config: AuditConfig, samples: Samples) -> tuple[Bools, tuple[Scheme, ...]]:
    """Return who trains which model, and the quantizers: full precision first, each once."""
    quantizers = (Identity(), *parse_list(",".join(config.quantizers)))
    return halves(samples, config.models, seed=config.seed), tuple(dict.fromkeys(quantizers))


Found = dict[str, tuple[LossTable, Size]]
"""By quantizer specification: the losses of its candidates, and the size of one released model."""


def collect(
    config: AuditConfig,
    samples: Samples,
    members: Bools,
    quantizers: Sequence[Scheme],
    *,
    shelf: Shelf,
    progress: Progress,
) -> Found:
    """Train all models once, a chunk at a time, and evaluate them under every quantizer."""
    parts: list[Found] = []
    todo = chunks(samples, len(members), config.training)
    for index, which in enumerate(todo):
        key = f"models-{which.start}-{which.stop}"
        part = shelf.get(key)
        if part is None:

            def step(what: str, done: int, total: int, before: int = index) -> None:
                progress(what, before * total + done, len(todo) * total)

            part = chunk(config, samples, members, quantizers, which=which, progress=step)
            shelf.put(key, part)
        parts.append(part)
    return {spec: (LossTable.stack([part[spec][0] for part in parts]), parts[0][spec][1]) for spec in parts[0]}


def chunk(
    config: AuditConfig,
    samples: Samples,
    members: Bools,
    quantizers: Sequence[Scheme],
    *,
    which: slice,
    progress: Progress,
) -> Found:
    """One chunk of models: train once, then quantize every checkpoint with the released model's scales, evaluate."""
    model, checkpoints = train(
        samples, members[which], config.training, seed=config.seed, first=which.start, progress=progress
    )
    released = checkpoints.last()
    calibration = Calibration(model, samples.inputs, members[which], seed=config.seed, first=which.start)
    found: Found = {}
    for done, quantizer in enumerate(quantizers, start=1):
        frozen = quantizer.frozen_to(released, calibration)
        candidates = frozen(checkpoints)
        table = evaluate(model, candidates, samples, members[which], quantizer=quantizer.spec())
        table = with_whitebox(table, model, candidates, samples) if config.whitebox else table
        table = with_numbers(table, candidates, samples) if config.numbers else table
        found[quantizer.spec()] = (table, frozen.size(released))
        progress("evaluating", done, len(quantizers))
    return found
