"""From loss tables to one row of the result: every measure that the ingredients allow, the others named."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from leaq.attacks.forecast import audit_forecasts, forecast_risk
from leaq.attacks.registry import parse_attacks, primary
from leaq.attacks.risk import identified_records
from leaq.data import load
from leaq.embedders import embed
from leaq.errors import NotEnoughEvidence
from leaq.measures.rate import order_changes
from leaq.models.nets.layout import GRAPHS
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.rows import How, Released, attacked_row, row
from leaq.quantizers import Identity, ReleaseSet, Scheme
from leaq.results import QuantizerRow, Size
from leaq.training.references import parse_references, reference_table
from leaq.types import (
    AttackResult,
    Bools,
    Estimate,
    Flag,
    Floats,
    Ints,
    LossTable,
    Progress,
    Samples,
    Task,
)
from leaq.types.arrays import trained_on
from leaq.types.tasks import TaskSpec

TOGETHER = Flag(
    "together",
    "Several releases of one model, all held by the attacker: what publishing them together gives away. The size is "
    "that of all files; each release keeps its own metrics.",
)
REFERENCE = Flag(
    "reference",
    "A reference, no release of the network: trained on the same members, attacked by who sees its outputs, with "
    "shadow models of its own kind. The size is what its fitted arrays take in memory.",
)


def audit_doubts(config: AuditConfig, rows: Sequence[QuantizerRow], reference: LossTable) -> tuple[Flag, ...]:
    """Return the doubts about a whole audit: models that are alike, what no quantizer touches, r's order."""
    flags = [] if config.game == "calibration" else [*_alike(reference), unquantized(config)]
    pairs = [(row.measures.get("r"), row.measures.get("r_halved")) for row in rows]
    full = [(r.value, half.value) for r, half in pairs if isinstance(r, Estimate) and isinstance(half, Estimate)]
    if len(full) > 1 and (share := order_changes(*zip(*full, strict=True))) > 0:
        text = f"No ranking by r: {share:.0%} of the pairs change order when half of the candidates are left out."
        flags.append(Flag("r-order-unstable", text))
    return tuple(flags)


def _alike(reference: LossTable) -> tuple[Flag, ...]:
    """Doubt models of other members that have the same losses to the last digit: they have not learnt these."""
    same: dict[bytes, list[int]] = {}
    for model, losses in enumerate(reference.released):
        same.setdefault(losses.tobytes(), []).append(model)
    alike = [which for which in same.values() if len({reference.members[i].tobytes() for i in which}) > 1]
    if not alike:
        return ()
    text = (
        f"{sum(map(len, alike))} of {len(reference.members)} models give exactly what another one of other members "
        "gives: they were not trained on their own members, as when a recipe returns a kept model or all write and "
        "read one file. What models give away is understated."
    )
    return (Flag("models-alike", text),)


def unquantized(config: AuditConfig) -> Flag:
    """Return the doubt about what no quantizer touches: whose statistics the scalers are decides how much it is."""
    if config.recipe or config.released:
        text = "Biases, norms and statistics are released in full precision; the file attack reads them, r does not."
        return Flag("unquantized-rest", text)
    training = config.training
    whose = {
        "members": "the scalers are the members' own statistics and give the members away, see the file attack",
        "rounded": "the scalers are the members' own statistics, kept to few bits",
        "private": f"the scalers are the members' own statistics with noise, epsilon {training.standardise_epsilon:g}",
        "pool": "the scalers are those of the whole pool and say nothing about who is a member",
    }.get(training.standardise, "the scalers do not depend on the pool")
    text = f"Biases and scalers are released in full precision; {whose}. r and lambda_k do not cover them."
    return Flag("unquantized-rest", text)


def primary_attack(config: AuditConfig) -> str:
    """Return the attack rows are ordered by: the strongest that there are models enough for."""
    return primary(parse_attacks(config.attacks), models=config.models)


def how_of(config: AuditConfig, features: Floats | None = None, *, task: Task) -> How:
    """Return how every number of an audit is made."""
    attacks = parse_attacks(config.attacks, task=task)
    how = How(config.resampling, attacks, primary_attack(config), config.attacked, features)
    return replace(how, series=config.game == "series")


def measure(
    quantizer: Scheme,
    table: LossTable,
    reference: LossTable,
    *,
    size: Size,
    config: AuditConfig,
    features: Floats | None = None,
) -> QuantizerRow:
    """Measure one quantizer; of a released file, its own accuracy counts, and not that of its shadow models."""
    released = Released(
        (quantizer.spec(), quantizer.label()),
        table,
        size,
        reference=reference,
        full=quantizer == Identity(),
        own=config.attacked if config.released else None,
        flags=quantizer.flags(),
    )
    return row(released, how_of(config, features, task=table.task))


def with_forecasts(
    rows: Sequence[QuantizerRow], found: Mapping[str, tuple[LossTable, Size]], config: AuditConfig
) -> list[QuantizerRow]:
    """Add to each row what the attack is expected to find with many models; quantizers of one audit help each other."""
    tables = {row.quantizer: found[row.quantizer][0] for row in rows}
    attacks = {row.quantizer: row.attacks for row in rows}
    full = Identity().spec() if Identity().spec() in tables else None
    if config.game == "series":  # what is forecast is about single records
        return list(rows)
    ahead = audit_forecasts(tables, attacks, full=full, level=config.level, seed=config.seed)
    return [replace(row, measures={**row.measures, **ahead[row.quantizer]}) for row in rows]


def measure_together(
    releases: ReleaseSet,
    found: Mapping[str, tuple[LossTable, Size]],
    *,
    config: AuditConfig,
    features: Floats | None = None,
) -> QuantizerRow:
    """Attack several releases of the same models together: the size is that of all files, metrics stay with each.

    Risks of single records are left to the releases' own rows.
    """
    held = [found[quantizer.spec()] for quantizer in releases.quantizers]
    (table, *beside), sizes = [table for table, _ in held], [size for _, size in held]
    how = how_of(config, features, task=table.task)
    ran = how.attacked(how.context(table, beside=beside))
    attacks = {name: replace(one, risk=None) if isinstance(one, AttackResult) else one for name, one in ran.items()}
    full, total = sum(size.bytes * size.compression for size in sizes) / len(sizes), sum(size.bytes for size in sizes)
    bits, entropy = sum(size.bits for size in sizes), sum(size.entropy_bits for size in sizes)
    size = Size(bits, entropy, total, full / total)
    return QuantizerRow(releases.text, releases.label, size, attacks=attacks, flags=(TOGETHER,))


def measure_references(
    config: AuditConfig,
    pool: Samples,
    members: Bools,
    drawn: Ints | None = None,
    *,
    data: Any = None,
    progress: Progress,
) -> tuple[QuantizerRow, ...]:
    """Train the references on the members of every network; return their metrics and what attackers find.

    Attacks that read weights or files name what is missing. `data` holds molecules where they are in memory (see
    `columns_for_references`). `drawn` are the records of the pool that attackers ask about.
    """
    if not config.references:
        return ()
    pool, rows = columns_for_references(config, pool, data), []
    for reference in parse_references(config.references):
        table, size = reference_table(reference, pool, members, seed=config.seed, progress=progress)
        features = pool.inputs
        if drawn is not None and not table.by_task:
            table, features = replace(table.on(drawn), pool=len(pool)), features[drawn]
        how = how_of(config, features, task=table.task)
        names = reference.spec(), reference.label
        rows.append(attacked_row(Released(names, table, size, full=True, flags=(REFERENCE,)), how))
    return tuple(rows)


def columns_for_references(config: AuditConfig, pool: Samples, data: Any = None) -> Samples:
    """Return records as columns: molecules that a graph network reads are embedded by ecfp4."""
    if GRAPHS not in pool.flags:
        return pool
    again = load(config.source if data is None else data, config)
    return embed(again.take(np.isin(again.ids, pool.ids)), "ecfp4")


GROUPED = frozenset({"grouped", "scaffold-split", "cluster-split"})
"""Flags of data whose groups are more than duplicates."""


def private_findings(samples: Samples, found: Mapping[str, tuple[LossTable, Size]]) -> dict[str, Any]:
    """Return what is known of single records, by row number: never for a shareable edition.

    By quantizer, which records are identified at a false-discovery rate of 5 % (see `leaq.attacks.risk`), and how
    exposed each is expected to be (see `leaq.attacks.forecast`).
    """
    private: dict[str, Any] = {"ids": samples.ids.tolist()}
    tell: tuple[tuple[str, str, Callable[[LossTable], Any]], ...] = (
        ("forecast_risk", "not_forecast", forecast_risk),
        ("identified", "not_identified", lambda table: samples.ids[identified_records(table)]),
    )
    for name, why, told in tell:
        try:
            private[name] = {spec: told(table).tolist() for spec, (table, _) in found.items()}
        except NotEnoughEvidence as err:
            private[why] = str(err)
    return private


def describe_data(samples: Samples, members: Bools, *, game: str = "pool") -> dict[str, Any]:
    """Return aggregates of the records asked about, fit to be shown to anybody: of `n`, `n_train` are members."""
    described: dict[str, Any] = {
        "name": samples.name,
        "task": "language" if samples.text else samples.task,
        "n": len(samples),
        "n_train": trained_on(members),
        "features": 0 if samples.text else int(samples.inputs[0].size),
        "duplicates": len(samples) - len(np.unique(samples.groups)),
        "game": game,
    }
    if any(flag.code in GROUPED for flag in samples.flags):
        # Groups were asked for: how many of their records are duplicates is another matter, told by the flags.
        described["groups"] = described["n"] - described.pop("duplicates")
    if samples.text:
        return described
    if samples.tasks:
        return {**described, "tasks": describe_tasks(samples)}
    [(values, task)] = samples.each_target
    return described | _described(task, values)


def describe_tasks(samples: Samples) -> list[dict[str, Any]]:
    """Return aggregates of the labels of each of several targets."""
    known = [(task, values[~np.isnan(values)]) for values, task in samples.each_target]
    return [
        {"name": task.name, "task": task.kind, "n": len(values), **_described(task, values)} for task, values in known
    ]


def _described(task: TaskSpec, values: Floats | Ints) -> dict[str, Any]:
    """Return how many records each class has, or the unit and spread of values."""
    if task.kind == "classification":
        counts = np.bincount(values.astype(np.int64), minlength=len(task.classes))
        return {"classes": dict(zip(task.classes, counts.tolist(), strict=True))}
    return {"unit": task.unit, "target_sd": float(values.std()) if len(values) else 0.0}
