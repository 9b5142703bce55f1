"""One row of the result for a finished model: every measure the ingredients allow, the others named."""

from collections.abc import Callable, Mapping
from typing import Any

from leaq.auditing.config import ModelAuditConfig
from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.measures.held_out import held_out_drop, held_out_loss
from leaq.measures.indicators import distortion, loss_gap
from leaq.measures.performance import drop, performance
from leaq.measures.rate import rate
from leaq.measures.scoring import Protocol
from leaq.measures.threshold import threshold
from leaq.results import Curve, QuantizerRow, Size
from leaq.types import AttackResult, Estimate, Flag, LossTable, NotComputed

__all__ = ["NO_SHADOWS", "Attacks", "measure_model", "options_of"]

NO_SHADOWS = NotComputed(
    "Needs shadow models: several models trained by the same rule on other records. "
    "leaq.audit with a table of records instead of a model trains them."
)
Attacks = Mapping[str, AttackResult | NotComputed]
Number = Estimate | NotComputed


def options_of(config: ModelAuditConfig) -> dict[str, Any]:
    """Return how every interval of this audit is made."""
    return {"level": config.level, "seed": config.seed, "draws": config.draws}


def protocol_of(config: ModelAuditConfig) -> Protocol:
    """Return how every attack number of this audit is made."""
    return Protocol(level=config.level, draws=config.draws, seed=config.seed)


def measure_model(
    names: tuple[str, str],
    released: LossTable,
    reference: LossTable | None,
    *,
    candidates: LossTable | NotComputed,
    size: Size,
    config: ModelAuditConfig,
) -> QuantizerRow:
    """Measure one quantizer on a finished model.

    Parameters
    ----------
    names : specification and label of the quantizer.
    released : losses of the released model alone.
    reference : the same in full precision; None if this is it.
    candidates : losses of the candidates that r compares, or why there are none.
    """
    options = options_of(config)
    measures: dict[str, Number] = {"loss_gap": loss_gap(released, **options)}
    rates, curves, doubts = _rates(candidates, options)
    measures |= rates
    drops: dict[str, Number] = {}
    if reference is not None:
        drops = _each(released, lambda: drop(released, reference, **options))
        drops["loss"] = held_out_drop(released, reference, **options)
        measures["distortion"] = _distortion(released, reference, options)
    metrics: dict[str, Number] = _each(released, lambda: performance(released, **options))
    metrics["loss"] = held_out_loss(released, **options)
    attacks = {"threshold": threshold(released, protocol=protocol_of(config))}
    missing = {"lira-online": NO_SHADOWS, "lira-nonadaptive": NO_SHADOWS}
    return QuantizerRow(
        quantizer=names[0],
        label=names[1],
        size=size,
        metrics=metrics,
        drops=drops,
        measures=measures,
        attacks={**attacks, **missing},
        curves=curves,
        flags=doubts,
    )


def _each(table: LossTable, compute: Callable[[], Mapping[str, Number]]) -> dict[str, Number]:
    """Task metrics, where outputs and targets define any; or why there are none."""
    names = ("roc_auc", "accuracy") if table.task == "classification" else ("r2",)
    if table.outputs is None or table.targets is None:
        return {}
    try:
        return dict(compute())
    except (InvalidInput, NotEnoughEvidence):
        reason = NotComputed("The non-members given must hold at least two classes (or values).")
        return {name: reason for name in names}


def _distortion(released: LossTable, reference: LossTable, options: Mapping[str, Any]) -> Number:
    if released.outputs is None or reference.outputs is None:
        return NotComputed("Needs outputs of one width for every record, at most 4,096 numbers.")
    if released.outputs.shape != reference.outputs.shape:
        return NotComputed("The shipped model must have as many outputs as its original.")
    return distortion(released, reference, **options)


def _rates(
    candidates: LossTable | NotComputed, options: Mapping[str, Any]
) -> tuple[dict[str, Number], dict[str, Curve], tuple[Flag, ...]]:
    names = ("r", "n_r", "asymptotic")
    if isinstance(candidates, NotComputed):
        return dict.fromkeys(names, candidates), {}, ()
    try:
        found = rate(candidates, **options)
    except NotEnoughEvidence as err:
        return dict.fromkeys(names, NotComputed(str(err))), {}, ()
    numbers: dict[str, Number] = {
        "r": found.r,
        "n_r": found.n_r,
        "asymptotic": found.asymptotic,
        "chernoff": found.chernoff,
        "union_bound": found.union_bound,
        "r_halved": found.halved,
    }
    return numbers, {"lambda_k": found.curve}, found.flags
