"""One row of the result for a finished model: every measure the ingredients allow, the others named."""

from collections.abc import Callable, Mapping
from typing import Any

from leaq.attacks.base import Context, Ingredient
from leaq.attacks.registry import parse_attacks
from leaq.attacks.scoring import Protocol
from leaq.auditing.config import ModelAuditConfig
from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.measures.finite_sample import finite_sample
from leaq.measures.held_out import held_out_drop, held_out_loss
from leaq.measures.indicators import correlation, distortion, loss_gap
from leaq.measures.performance import drop, performance
from leaq.measures.rate import rate
from leaq.results import Curve, QuantizerRow, Size
from leaq.types import AttackResult, Estimate, Flag, Floats, LossTable, NotComputed

__all__ = ["NO_SHADOWS", "Attacks", "measure_model", "options_of"]

NO_SHADOWS = (
    "Needs shadow models: several models trained by the same rule on other records. "
    "leaq.audit with a table of records instead of a model trains them."
)
NO_FEATURES = "Needs inputs that are arrays of numbers, and outputs that are classes or values."
NO_REPLICATES = NotComputed(
    "Needs a few replicates in full precision, each trained by the same rule on half of the records, so that every "
    "record is in some and out of others (leaq.attacks.forecast). "
    "leaq forecast with a table of records instead of a model trains them."
)
Attacks = Mapping[str, AttackResult | NotComputed]
Number = Estimate | NotComputed
Found = AttackResult | NotComputed


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
    job: "tuple[ModelAuditConfig, Floats | None]",
) -> QuantizerRow:
    """Measure one quantizer on a finished model.

    Parameters
    ----------
    names : specification and label of the quantizer.
    released : losses of the released model alone.
    reference : the same in full precision; None if this is it.
    candidates : losses of the candidates that r compares, or why there are none.
    job : how numbers are made, and the inputs (n, d) that the quantile attack knows, if they are arrays.
    """
    config, features = job
    options = options_of(config)
    measures: dict[str, Number] = {"loss_gap": loss_gap(released, **options), "forecast": NO_REPLICATES}
    rates, curves, doubts = _rates(candidates, options)
    measures |= rates
    drops: dict[str, Number] = {}
    if reference is not None:
        drops = _each(released, lambda: drop(released, reference, **options))
        drops["loss"] = held_out_drop(released, reference, **options)
        measures["distortion"] = _compared(distortion, released, reference, options)
        measures["correlation"] = _compared(correlation, released, reference, options)
    metrics: dict[str, Number] = _each(released, lambda: performance(released, **options))
    metrics["loss"] = held_out_loss(released, **options)
    return QuantizerRow(
        quantizer=names[0],
        label=names[1],
        size=size,
        metrics=metrics,
        drops=drops,
        measures=measures,
        attacks=_attacks(released, features, protocol_of(config)),
        curves=curves,
        flags=doubts,
    )


def _attacks(released: LossTable, features: Floats | None, protocol: Protocol) -> dict[str, Found]:
    """Run the attacks of a standard audit, and those that need no shadow models; what is lacking says so."""
    lacking: dict[Ingredient, str] = {"shadows": NO_SHADOWS}
    if features is None or released.scores is None:
        lacking["features"] = NO_FEATURES
    context = Context(released, features=features, protocol=protocol, lacking=lacking)
    names = ["default", "threshold(per=label)", "quantile"]
    attacks = [attack for attack in parse_attacks(names) if "classes" not in attack.needs or context.has("classes")]
    return {attack.spec(): attack.run(context) for attack in attacks}


def _each(table: LossTable, compute: Callable[[], Mapping[str, Number]]) -> dict[str, Number]:
    """Task metrics, where outputs and targets define any; or why there are none."""
    names = ("roc_auc", "accuracy") if table.task == "classification" else ("r2",)
    if table.outputs is None or table.targets is None:
        wide = "one class or value a record, and outputs of at most 4,096 numbers"
        return dict.fromkeys(
            names, NotComputed(f"Needs {wide}, under a loss that says what they mean; the loss is given.")
        )
    try:
        return dict(compute())
    except (InvalidInput, NotEnoughEvidence):
        reason = NotComputed("The non-members given must hold at least two classes (or values).")
        return {name: reason for name in names}


def _compared(
    indicator: Callable[..., Estimate], released: LossTable, reference: LossTable, options: Mapping[str, Any]
) -> Number:
    """Return an indicator that compares outputs before and after, or what it lacks."""
    if released.outputs is None or reference.outputs is None:
        return NotComputed("Needs outputs of one width for every record, at most 4,096 numbers.")
    if released.outputs.shape != reference.outputs.shape:
        return NotComputed("The shipped model must have as many outputs as its original.")
    try:
        return indicator(released, reference, **options)
    except NotEnoughEvidence as err:
        return NotComputed(str(err))


def _rates(
    candidates: LossTable | NotComputed, options: Mapping[str, Any]
) -> tuple[dict[str, Number], dict[str, Curve], tuple[Flag, ...]]:
    names = ("r", "n_r", "asymptotic", "finite_sample")
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
    try:
        kept = {name: options[name] for name in ("level", "seed")}
        numbers["finite_sample"] = finite_sample(candidates, **kept)
    except NotEnoughEvidence as err:
        numbers["finite_sample"] = NotComputed(str(err))
    return numbers, {"lambda_k": found.curve}, found.flags
