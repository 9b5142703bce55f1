"""From loss tables to one row of the result: every measure that the ingredients allow, the others named."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from leaq.attacks.base import Context
from leaq.attacks.forecast import forecast_risk
from leaq.attacks.foreseen import foreseen
from leaq.attacks.gap import adaptive_gap
from leaq.attacks.registry import parse_attacks, primary, title_of
from leaq.attacks.risk import exposure
from leaq.attacks.scoring import Protocol
from leaq.cell import AuditConfig
from leaq.data import load
from leaq.embedders import embed
from leaq.errors import NotEnoughEvidence
from leaq.measures.finite_sample import Options, finite_sample
from leaq.measures.indicators import correlation, distortion, loss_gap
from leaq.measures.performance import drop, performance
from leaq.measures.rate import order_changes, rate
from leaq.nets.layout import GRAPHS
from leaq.quantizers import Identity, ReleaseSet, Scheme
from leaq.results import Curve, QuantizerRow, Size
from leaq.training.references import parse_references, reference_table
from leaq.types import AttackResult, Bools, Estimate, Flag, Floats, LossTable, NotComputed, Progress, Samples

__all__ = [
    "describe_data",
    "doubts",
    "measure",
    "measure_references",
    "measure_together",
    "no_skill",
    "order_doubt",
    "primary_attack",
    "private_findings",
    "unquantized",
]

TOGETHER = Flag(
    "together",
    "Several releases of one model, all held by the attacker: what publishing them together gives away. The size is "
    "that of all files; each release keeps its own metrics.",
)
NO_CANDIDATES = NotComputed("Compares candidates recorded along training; the released weights alone are known.")
REFERENCE = Flag(
    "reference",
    "A reference, no release of the network: trained on the same members, attacked by who sees its outputs, with "
    "shadow models of its own kind. The size is what its fitted arrays take in memory.",
)
OUTDONE = 0.01
"""By how much another attack must find more than the leading one before it is said: less is the luck of one audit."""


def doubts(config: AuditConfig, rows: Sequence[QuantizerRow]) -> tuple[Flag, ...]:
    """Return the doubts about a whole audit: what no quantizer touches, and whether the ranking by r holds."""
    rest = () if config.game == "calibration" else (unquantized(config),)
    return (*rest, *order_doubt([row.measures for row in rows]))


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


def measure(
    quantizer: Scheme,
    table: LossTable,
    reference: LossTable,
    *,
    size: Size,
    config: AuditConfig,
    features: Floats | None = None,
) -> QuantizerRow:
    """Measure one quantizer: accuracy and its cost, indicators, attacks."""
    protocol = Protocol(level=config.level, draws=config.draws, seed=config.seed)
    context = Context(table, reference, config.attacked, features, protocol)
    options: dict[str, Any] = {"level": config.level, "seed": config.seed, "draws": config.draws}
    # Of a released file, its own accuracy and losses count, and not those of its shadow models.
    own, before = (one.of(config.attacked) if config.released else one for one in (table, reference))
    metrics = performance(own, **options)
    indicators, curves, doubts = _rates(table, options)
    indicators["finite_sample"] = _finite_sample(table, config)
    indicators["loss_gap"] = loss_gap(own, **options)
    drops: Mapping[str, Estimate] = {}
    if quantizer != Identity():
        drops = drop(own, before, **options)
        for name, indicator in (("distortion", distortion), ("correlation", correlation)):
            try:
                indicators[name] = indicator(own, before, **options)
            except NotEnoughEvidence as err:
                indicators[name] = NotComputed(str(err))
        indicators["adaptive_gap"] = adaptive_gap(context)
        indicators["adaptive_gap_raw"] = adaptive_gap(context, normalise=False)
    attacks = {attack.spec(): attack.run(context) for attack in parse_attacks(config.attacks, task=table.task)}
    indicators |= foreseen(table, attacks, level=config.level, seed=config.seed)
    return QuantizerRow(
        quantizer=quantizer.spec(),
        label=quantizer.label(),
        size=size,
        metrics=metrics,
        drops=drops,
        measures=indicators,
        attacks=attacks,
        curves=curves,
        flags=(*quantizer.flags(), *doubts, *no_skill(metrics, own), *outdone(attacks, primary_attack(config))),
    )


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
    protocol = Protocol(level=config.level, draws=config.draws, seed=config.seed)
    context = Context(table, None, config.attacked, features, protocol, beside=beside)
    attacks = {attack.spec(): attack.run(context) for attack in parse_attacks(config.attacks, task=table.task)}
    full = sum(size.bytes * size.compression for size in sizes) / len(sizes)
    bits, entropy, total = (
        sum(column) for column in zip(*((s.bits, s.entropy_bits, s.bytes) for s in sizes), strict=True)
    )
    return QuantizerRow(
        quantizer=releases.text,
        label=releases.label,
        size=Size(bits, entropy, int(total), full / total),
        attacks={
            name: replace(result, risk=None) if isinstance(result, AttackResult) else result
            for name, result in attacks.items()
        },
        flags=(TOGETHER,),
    )


def measure_references(
    config: AuditConfig, pool: Samples, members: Bools, *, data: Any = None, progress: Progress
) -> tuple[QuantizerRow, ...]:
    """Train the references on the members of every network; return their metrics and what attackers find.

    Attacks that read weights or files name what is missing. Molecules that a graph network reads are embedded by ecfp4;
    `data` holds them where they are in memory.
    """
    options: dict[str, Any] = {"level": config.level, "seed": config.seed, "draws": config.draws}
    references = parse_references(",".join(config.references))
    if references and GRAPHS in pool.flags:
        again = load(config.source if data is None else data, config)
        pool = embed(again.take(np.isin(again.ids, pool.ids)), "ecfp4")
    rows = []
    for reference in references:
        table, size = reference_table(reference, pool, members, seed=config.seed, progress=progress)
        metrics = performance(table, **options)
        context = Context(table, None, config.attacked, pool.inputs, Protocol(**options))
        attacks = {one.spec(): one.run(context) for one in parse_attacks(config.attacks, task=table.task)}
        doubts = (*no_skill(metrics, table), *outdone(attacks, primary_attack(config)))
        row = QuantizerRow(reference.spec(), reference.label, size, flags=(REFERENCE, *doubts))
        rows.append(replace(row, metrics=metrics, attacks=attacks))
    return tuple(rows)


def _rates(
    table: LossTable, options: Mapping[str, Any]
) -> tuple[dict[str, Estimate | NotComputed], dict[str, Curve], tuple[Flag, ...]]:
    """Return r and its companions, or why there is none."""
    names = ("r", "n_r", "asymptotic")
    if table.losses.shape[1] == 1:
        return dict.fromkeys(names, NO_CANDIDATES), {}, ()
    try:
        found = rate(table, **options)
    except NotEnoughEvidence as err:
        return {name: NotComputed(str(err)) for name in names}, {}, ()
    numbers: dict[str, Estimate | NotComputed] = {
        "r": found.r,
        "n_r": found.n_r,
        "asymptotic": found.asymptotic,
        "chernoff": found.chernoff,
        "union_bound": found.union_bound,
        "r_halved": found.halved,
    }
    return numbers, {"lambda_k": found.curve}, found.flags


def _finite_sample(table: LossTable, config: AuditConfig) -> Estimate | NotComputed:
    """Return the finite-sample leak of an empirical minimiser over two models' candidates, or why there is none."""
    if table.losses.shape[1] == 1:
        return NO_CANDIDATES
    quick = Options(draws=500, most=2000, close=0.05, resamples=10, bootstrap_draws=100, pool=table.losses.shape[2])
    try:
        return finite_sample(
            table, models=range(min(2, len(table.losses))), level=config.level, seed=config.seed, options=quick
        )
    except NotEnoughEvidence as err:
        return NotComputed(str(err))


def no_skill(metrics: Mapping[str, Estimate], table: LossTable) -> tuple[Flag, ...]:
    """Flag a model that predicts no better than guessing: its small leak is no merit."""
    name, chance = ("roc_auc", 0.5) if table.task == "classification" else ("r2", 0.0)
    if metrics[name].low > chance:
        return ()
    return (Flag("no-skill", f"The interval of {name} reaches {chance:g}: predicts no better than guessing."),)


def outdone(attacks: Mapping[str, AttackResult | NotComputed], leading: str) -> tuple[Flag, ...]:
    """Flag the row where an attack finds more than the leading one: the number led with is then not the leak."""
    lead = attacks.get(leading)
    if not isinstance(lead, AttackResult):
        return ()
    found = {name: item for name, item in attacks.items() if isinstance(item, AttackResult)}
    best = max(found, key=lambda name: found[name].advantage.value)
    mine, theirs = lead.advantage.value, found[best].advantage.value
    if theirs - mine <= OUTDONE:
        return ()
    told = ", which is told other memberships," if found[best].told else ""
    text = f"The {title_of(best)}{told} finds more here: {theirs:+.3f} against {mine:+.3f}."
    return (Flag("outdone", text),)


def order_doubt(measures: Sequence[Mapping[str, Estimate | NotComputed]]) -> tuple[Flag, ...]:
    """Flag the audit where the ranking by r depends on how many candidates were sampled."""
    pairs = [(row.get("r"), row.get("r_halved")) for row in measures]
    full = [(r.value, half.value) for r, half in pairs if isinstance(r, Estimate) and isinstance(half, Estimate)]
    if len(full) < 2:
        return ()
    share = order_changes(*zip(*full, strict=True))
    if share == 0:
        return ()
    text = f"No ranking by r: {share:.0%} of the pairs change order when half of the candidates are left out."
    return (Flag("r-order-unstable", text),)


GROUPED = frozenset({"grouped", "scaffold-split", "cluster-split"})
"""Flags of data whose groups are more than duplicates."""


def private_findings(samples: Samples, found: Mapping[str, tuple[LossTable, Size]]) -> dict[str, Any]:
    """Return what is known of single records, by row number: never for a shareable edition.

    By quantizer, which records are identified at a false-discovery rate of 5 % (see `leaq.attacks.risk`), and how
    exposed each is expected to be (see `leaq.attacks.forecast`).
    """
    private: dict[str, Any] = {"ids": samples.ids.tolist()}
    try:
        private["forecast_risk"] = {spec: forecast_risk(table).tolist() for spec, (table, _) in found.items()}
    except NotEnoughEvidence as err:
        private["not_forecast"] = str(err)
    try:
        private["identified"] = {
            spec: samples.ids[exposure(table).identified].tolist() for spec, (table, _) in found.items()
        }
    except NotEnoughEvidence as err:
        private["not_identified"] = str(err)
    return private


def describe_data(samples: Samples, members: Bools, *, game: str = "pool") -> dict[str, Any]:
    """Return aggregates of the records asked about, fit to be shown to anybody: of `n`, `n_train` are members."""
    described: dict[str, Any] = {
        "name": samples.name,
        "task": samples.task,
        "n": len(samples),
        "n_train": round(float(members.sum(1).mean())),
        "features": int(samples.inputs[0].size),
        "duplicates": len(samples) - len(np.unique(samples.groups)),
        "game": game,
    }
    if any(flag.code in GROUPED for flag in samples.flags):
        # Groups were asked for: how many of their records are duplicates is another matter, told by the flags.
        described["groups"] = described["n"] - described.pop("duplicates")
    if samples.task == "classification":
        counts = np.bincount(samples.targets, minlength=len(samples.classes))
        described["classes"] = dict(zip(samples.classes, counts.tolist(), strict=True))
    else:
        described["unit"] = samples.unit
        described["target_sd"] = float(np.std(samples.targets))
    return described
