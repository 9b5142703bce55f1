"""One cell front to back: THE file that shows the data flow.

    load -> embed -> split -> train -> quantize -> evaluate -> LossTable -> measure -> CellResult

Each model trains on its own half of one pool of records (models 2i and 2i+1 on complementary halves), so every
record is a member of half of the models: held-out metrics, attacks and shadow models all come from one training.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

from leaq.attacks.compared import with_comparison
from leaq.evaluation.loss_table import loss_table
from leaq.pipeline import measuring
from leaq.pipeline.baseline import private_rows
from leaq.pipeline.calibrating import Calibrations, calibrate, measure_calibrations, planned
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.finished import audit_finished
from leaq.pipeline.measuring import measure, measure_references, measure_together, with_forecasts
from leaq.pipeline.planning import Asked, ReleaseTables, joined_chunks, refuse_other_sizes
from leaq.pipeline.preparing import prepare
from leaq.pipeline.rows import primary_metric
from leaq.pipeline.subjects import Given, Subject, subject_of
from leaq.quantizers import Identity, build
from leaq.results import CellResult, QuantizerRow
from leaq.system.environment import describe_environment, limited_threads, peak_memory
from leaq.training.batched import device_for
from leaq.types import LossTable, Progress, Samples, silent


def audit(config: AuditConfig, *, given: Given | None = None, progress: Progress = silent) -> CellResult:
    """Measure what every quantizer gives away about training records, and what it costs in accuracy.

    `given` holds what is in memory (records, a network, a recipe), which the configuration then only names. Of a
    finished model nothing is trained (see `leaq.pipeline.finished`).

    Examples
    --------
    >>> from leaq.training import TrainingConfig
    >>> quick = TrainingConfig(hidden=(8,), epochs=2, checkpoints=4)
    >>> result = audit(AuditConfig(source="breast_cancer", quantizers=("sign",), replicates=4, training=quick))
    >>> [row.label for row in result.rows]
    ['full precision', 'sign']
    """
    device_for(config.training)
    with limited_threads(config.threads):
        if config.finished or (given is not None and given.finished):
            return audit_finished(config, given=given, progress=progress)
        samples, resolved = prepare(config, given=given, progress=progress)
        return audit_samples(samples, resolved, given=given, progress=progress)


def audit_samples(
    samples: Samples,
    config: AuditConfig,
    *,
    given: Given | None = None,
    parts: Sequence[ReleaseTables] = (),
    progress: Progress = silent,
) -> CellResult:
    """Audit embedded records: the second half of `audit`; `parts` are its chunks, where they were trained already."""
    started, todo, given = time.perf_counter(), planned(config, samples), given or Given()
    found = joined_chunks(parts) if parts else collect(config, todo, subject_of(config, given), progress=progress)
    trained = time.perf_counter()
    with limited_threads(config.threads or 1):  # its products are small: more threads only wait for each other
        rows, together = measured(config, todo, found, progress=progress)
    reference = found[Identity().spec()][0]
    result = CellResult(
        config=config.to_dict(),
        data=measuring.describe_data(
            todo.pool, todo.members[list(config.attacked)], game="released" if config.released else config.game
        ),
        rows=rows,
        primary_metric=primary_metric(samples),
        primary_attack=measuring.primary_attack(config),
        environment=describe_environment(config.training.device),
        timings={
            "models_seconds": trained - started,
            "measures_seconds": time.perf_counter() - trained,
            "peak_memory_bytes": float(peak_memory()),
        },
        private=measuring.private_findings(todo.judged, {key: found[key] for key in todo.keys}),
        flags=(*reference.flags, *todo.flags, *measuring.audit_doubts(config, rows, reference)),
        together=together,
        references=measure_references(config, todo.pool, todo.members, todo.drawn, data=given.data, progress=progress),
    )
    return with_comparison(result, todo.contrasts)


def measured(
    config: AuditConfig, todo: Asked | Calibrations, found: ReleaseTables, *, progress: Progress
) -> tuple[tuple[QuantizerRow, ...], tuple[QuantizerRow, ...]]:
    """Return one row a quantizer, and one a set of releases."""
    if isinstance(todo, Calibrations):
        return measure_calibrations(config, todo, found), ()
    reference, quantizers, rows = found[Identity().spec()][0], todo.rows(found), []
    for done, quantizer in enumerate(quantizers, start=1):
        table, size = found[quantizer.spec()]
        rows.append(measure(quantizer, table, reference, size=size, config=config, features=todo.features))
        progress("measuring", done, len(quantizers))
    rows = [*with_forecasts(rows, found, config), *private_rows(config, todo, reference, progress=progress)]
    return tuple(rows), tuple(measure_together(one, found, config=config, features=todo.features) for one in todo.sets)


def loss_tables(
    config: AuditConfig, *, given: Given | None = None, progress: Progress = silent
) -> dict[str, LossTable]:
    """Return the losses of all models under every quantizer of an audit, by specification: what attacks start from."""
    device_for(config.training)
    with limited_threads(config.threads):
        samples, resolved = prepare(config, given=given, progress=progress)
        todo = planned(resolved, samples, outputs=True)
        found = collect(resolved, todo, subject_of(resolved, given), progress=progress)
        return {spec: table for spec, (table, _) in found.items()}


def collect(config: AuditConfig, todo: Asked | Calibrations, subject: Subject, *, progress: Progress) -> ReleaseTables:
    """Train all models once, a chunk at a time, and evaluate them under every quantizer."""
    parts, runs = list[ReleaseTables](), subject.parts(todo.pool, len(todo.members))
    for index, which in enumerate(runs):

        def step(what: str, done: int, total: int, before: int = index) -> None:
            progress(what, before * total + done, len(runs) * total)

        parts.append(chunk(config, todo, subject, which=which, progress=step))
        refuse_other_sizes(parts)
    return joined_chunks(parts)


def chunk(
    config: AuditConfig, todo: Asked | Calibrations, subject: Subject, *, which: slice, progress: Progress
) -> ReleaseTables:
    """Train one chunk of models; quantize each checkpoint (of further releases the last) as the released one is."""
    if isinstance(todo, Calibrations):
        return calibrate(config, todo, subject, which=which, progress=progress)
    made = subject.train(todo.pool, todo.members[which], which=which, progress=progress)
    model, checkpoints = made.model, made.checkpoints
    members, samples = todo.judged_members[which], replace(todo.judged, flags=(*todo.judged.flags, *made.flags))
    found: ReleaseTables = {}
    everything = dict.fromkeys((*todo.quantizers, *map(build, made.quantized_by), *todo.releases))
    for done, quantizer in enumerate(everything, start=1):
        released = (recorded := quantizer.recorded(checkpoints)).last()
        fitted = quantizer.fitted_to(released, todo.calibration(model, which, quantizer, seed=config.seed))
        before = released if quantizer in todo.releases else recorded
        candidates = made.with_held(fitted(before), before, by=quantizer.spec())
        table = loss_table(model, candidates, samples, members, quantizer=quantizer.spec(), **config.beside_losses)
        todo.keep(found, todo.of_pool(table), fitted.size(released), config)
        progress("evaluating", done, len(everything))
    return todo.kept(found, config)
