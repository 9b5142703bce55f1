"""One cell front to back: THE file that shows the data flow.

    load -> embed -> split -> train -> quantize -> evaluate -> LossTable -> measure -> CellResult

Each model trains on its own half of one pool of records (models 2i and 2i+1 on complementary halves), so every
record is a member of half of the models: held-out metrics, attacks and shadow models all come from one training.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

from leaq import measuring
from leaq.attacks.compared import with_comparison
from leaq.calibrating import Calibrations, calibrate, measure_calibrations, planned
from leaq.cell import AuditConfig
from leaq.data import load
from leaq.embedders import embed
from leaq.environment import describe_environment, limited_threads, peak_memory
from leaq.evaluation import evaluate, with_numbers, with_whitebox
from leaq.measuring import measure, measure_references, measure_together
from leaq.planning import Asked, Found, joined
from leaq.quantizers import Identity, build
from leaq.results import CellResult, QuantizerRow
from leaq.subjects import Given, Subject, embedder_of, subject_of
from leaq.types import Progress, Samples, silent

__all__ = ["audit", "audit_samples", "chunk", "collect", "prepare"]


def audit(config: AuditConfig, *, given: Given | None = None, progress: Progress = silent) -> CellResult:
    """Measure what every quantizer gives away about training records, and what it costs in accuracy.

    `given` holds what is in memory (records, a network, a recipe), which the configuration then only names.

    Examples
    --------
    >>> from leaq.training import TrainingConfig
    >>> quick = TrainingConfig(hidden=(8,), epochs=2, checkpoints=4)
    >>> result = audit(AuditConfig(source="breast_cancer", quantizers=("sign",), replicates=4, training=quick))
    >>> [row.label for row in result.rows]
    ['full precision', 'sign']
    """
    with limited_threads(config.threads):
        samples, resolved = prepare(config, given=given, progress=progress)
        return audit_samples(samples, resolved, given=given, progress=progress)


def audit_samples(
    samples: Samples,
    config: AuditConfig,
    *,
    given: Given | None = None,
    parts: Sequence[Found] = (),
    progress: Progress = silent,
) -> CellResult:
    """Audit embedded records: the second half of `audit`; `parts` are its chunks, where they were trained already."""
    started, todo, given = time.perf_counter(), planned(config, samples), given or Given()
    found = joined(parts) if parts else collect(config, todo, subject_of(config, given), progress=progress)
    trained = time.perf_counter()
    rows, together = measured(config, todo, found, progress=progress)
    result = CellResult(
        config=config.to_dict(),
        data=measuring.describe_data(
            todo.pool, todo.members[list(config.attacked)], game="released" if config.released else config.game
        ),
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
        flags=(*found[Identity().spec()][0].flags, *todo.flags, *measuring.doubts(config, rows)),
        together=together,
        references=measure_references(config, todo.pool, todo.members, data=given.data, progress=progress),
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
    quantizers = todo.rows(found)
    for done, quantizer in enumerate(quantizers, start=1):
        table, size = found[quantizer.spec()]
        rows.append(measure(quantizer, table, reference, size=size, config=config, features=todo.features))
        progress("measuring", done, len(quantizers))
    return tuple(rows), tuple(measure_together(one, found, config=config) for one in todo.sets)


def prepare(
    config: AuditConfig, *, given: Given | None = None, progress: Progress = silent
) -> tuple[Samples, AuditConfig]:
    """Load and embed the records; return them with the configuration in which nothing is left to "auto"."""
    given = given or Given()
    subject_of(config, given)  # refuses what does not go together before anything is read
    source = config.source if given.data is None else given.data
    members = (config.members or None) if given.members is None else given.members
    samples = load(source, config, members=members, progress=progress)
    embedder = embedder_of(config, samples.kind, given)
    if config.training.standardise == "public" and config.public:
        samples = replace(samples, public=load(config.public, config, progress=progress))
    embedded = embed(samples, embedder, skip_invalid=config.skip_invalid, progress=progress)
    return embedded, config.resolved(task=embedded.task, embedder=embedder)


def collect(config: AuditConfig, todo: Asked | Calibrations, subject: Subject, *, progress: Progress) -> Found:
    """Train all models once, a chunk at a time, and evaluate them under every quantizer."""
    parts: list[Found] = []
    runs = subject.parts(todo.pool, len(todo.members))
    for index, which in enumerate(runs):

        def step(what: str, done: int, total: int, before: int = index) -> None:
            progress(what, before * total + done, len(runs) * total)

        parts.append(chunk(config, todo, subject, which=which, progress=step))
    return joined(parts)


def chunk(
    config: AuditConfig, todo: Asked | Calibrations, subject: Subject, *, which: slice, progress: Progress
) -> Found:
    """Train one chunk of models; quantize each checkpoint (of further releases the last) as the released one is."""
    if isinstance(todo, Calibrations):
        return calibrate(config, todo, subject, which=which, progress=progress)
    samples, members = todo.pool, todo.members[which]
    made = subject.train(samples, members, which=which, progress=progress)
    model, checkpoints, released = made.model, made.checkpoints, made.checkpoints.last()
    samples = replace(samples, flags=(*samples.flags, *made.flags))
    found: Found = {}
    everything = dict.fromkeys((*todo.quantizers, *map(build, made.quantized_by), *todo.releases))
    for done, quantizer in enumerate(everything, start=1):
        frozen = quantizer.frozen_to(released, todo.calibration(model, which, quantizer, seed=config.seed))
        candidates = frozen(released if quantizer in todo.releases else checkpoints)
        table = evaluate(model, candidates, samples, members, quantizer=quantizer.spec())
        table = with_whitebox(table, model, candidates, samples) if config.whitebox else table
        table = with_numbers(table, candidates, samples) if config.numbers else table
        found[quantizer.spec()] = (table, frozen.size(released))
        progress("evaluating", done, len(everything))
    return found
