"""Likelihood-ratio attack (LiRA), with every other model as a shadow, quantized the same way or not.

For a target and a record, the shadows split into those that trained on the record and those that did not. Densities
are fitted to their signals. Online, the score is the log-likelihood ratio of the target's own signal; offline, only
the shadows that did not train on the record are used, and the score is how far the target's signal lies above theirs.

Source: Carlini, Chien, Nasr, Song, Terzis, Tramer, "Membership Inference Attacks From First Principles"
(arXiv 2112.03570v2), Algorithm 1 (online), equation 4 (offline) and section VI-C (global variance for few shadows).
Ours: signals normalised over the pool (`leaq.attacks.signals`) and the hierarchical variances of
`leaq.attacks.hierarchical`. ``lira(normalise=False)`` is the published attack.

The adaptive gap is what an audit misses that attacks a quantized model with full-precision shadow models.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from leaq.attacks.base import Context, Ingredient, MembershipAttack, Sides
from leaq.attacks.hierarchical import predictive
from leaq.attacks.risk import effect_size
from leaq.attacks.scoring import area_gap
from leaq.attacks.shadows import same_models
from leaq.attacks.signals import Kind
from leaq.errors import NotEnoughEvidence
from leaq.types import Estimate, Floats, NotComputed

Variance = Literal["fixed", "per_record", "hierarchical"]
MODES = {"online": "LiRA", "offline": "offline LiRA"}
VARIANCES = {"fixed": "", "per_record": ", a variance a record", "hierarchical": ", hierarchical"}


class Lira(MembershipAttack):
    """LiRA: two densities a record, one over the shadows that trained on it and one over the others.

    Direction: smaller is safer. Range: advantage in [-1, 1]. Do not trust a quiet result from few shadows: with fewer
    than about 16 the Gaussians are poor; ``variance=hierarchical`` then finds more.

    Regression: online uses the signed residual. A model that trained on a record has its residual near 0, the others
    on one side of it, and the pair of densities sees both the shift and the narrowing that a squared error blurs.
    Offline has one density and needs a signal with a direction: the negative absolute residual.

    mode : "online" needs shadows that trained on the record, "offline" only others (cheaper for an attacker).
    variance : one for all records (better for few shadows than one a record), one a record, or in between: shrunk
        towards records like it (online only).
    shadows : quantized as the target is, or in full precision: an attacker who does not know the quantizer.
    normalise : take each model's common move out of its signals; False is the published attack.

    Raises
    ------
    NotEnoughEvidence
        If there are fewer than 4 shadows, or a record is in (or out of) none of a target's shadows.

    Examples
    --------
    >>> Lira(mode="offline", normalise=False).spec()
    'lira(mode=offline, normalise=False)'
    """

    name: ClassVar[str] = "lira"
    place: ClassVar[int] = 5
    source: ClassVar[str] = "arXiv 2112.03570v2"
    examples: ClassVar[tuple[str, ...]] = (
        "lira(mode=offline)",
        "lira(shadows=full_precision, normalise=False)",
        "lira(shadows=full_precision)",
        "lira(normalise=False)",
        "lira(variance=per_record)",
        "lira",
        "lira(variance=hierarchical)",
    )

    mode: Literal["online", "offline"] = "online"
    variance: Variance = "fixed"
    shadows: Literal["quantized", "full_precision"] = "quantized"
    normalise: bool = True

    @property
    def needs(self) -> tuple[Ingredient, ...]:
        return ("shadows", "scores", "reference") if self.shadows == "full_precision" else ("shadows", "scores")

    @property
    def sides(self) -> Sides:
        """Both online; offline the shadows that did not train on the record."""
        return "both" if self.mode == "online" else "out"

    def scores(self, context: Context, targets: Sequence[int], excluded: Sequence[int] = ()) -> Floats:
        """Return log-likelihood ratios (online) or standard deviations above the out-shadows (offline), (t, n)."""
        kind: Kind = "magnitude" if self.mode == "offline" else "auto"
        signals = context.signals.of(kind, normalise=self.normalise)
        others = signals
        if self.shadows == "full_precision":
            others = context.reference_signals.of(kind, normalise=self.normalise)
            same_models(context.table, context.reference_signals.table, attack=self.spec())
        statistics = context.shadows(others)
        known = statistics.of_all(targets, excluded, attack=self.spec(), sides=self.sides)
        signal = signals[list(targets)]
        if self.mode == "online" and self.variance == "hierarchical":
            return predictive(known).log_ratio(signal)
        var_in, var_out = known.variances("per_record" if self.variance == "per_record" else "fixed")
        if self.mode == "offline":  # standard deviations above the others; monotone in the paper's 1 - p-value
            return np.asarray((signal - known.mean_out) / np.sqrt(var_out))
        return log_normal(signal, known.mean_in, var_in) - log_normal(signal, known.mean_out, var_out)

    def risk(self, context: Context, scores: Floats, targets: Sequence[int]) -> Floats | None:
        """Return how exposed each record is, (n,); of a released model in it and its shadow models together."""
        if context.table.game == "released" and self.shadows == "quantized":
            return effect_size(context.signals.of("auto", normalise=self.normalise), context.table.members)
        return super().risk(context, scores, targets)

    def knows(self, context: Context) -> str:
        rule = "the training rule and the quantizer"
        kind = "shadow models"
        if self.shadows == "full_precision":
            rule, kind = "the training rule, not the quantizer", "full-precision shadow models"
        return f"sees the quantized model's outputs; knows the pool, {rule}; {context.shadows_of()} {kind}"

    def title(self) -> str:
        shadows = "equally quantized" if self.shadows == "quantized" else "full-precision"
        as_published = "" if self.normalise else ", signals as published"
        return f"{MODES[self.mode]} with {shadows} shadow models{VARIANCES[self.variance]}{as_published}"

    def short(self) -> str:
        kind = "" if self.shadows == "quantized" else ", not adaptive"
        as_published = "" if self.normalise else ", as published"
        return f"{'LiRA' if self.mode == 'online' else 'LiRA, offline'}{kind}{VARIANCES[self.variance]}{as_published}"

    def explain(self) -> str:
        signal = "normalised signal" if self.normalise else "raw signal"
        if self.mode == "offline":
            return f"How far a record's {signal} lies above that of shadow models that did not train on it."
        return f"Likelihood of a record's {signal} among shadow models that trained on it, against the others."


def log_normal(x: Floats, mean: Floats, variance: Floats) -> Floats:
    """Return the log density of a normal law, less a constant."""
    density: Floats = -0.5 * np.log(variance) - (x - mean) ** 2 / (2 * variance)
    return density


def adaptive_gap(context: Context, *, normalise: bool = True) -> Estimate | NotComputed:
    """Tell how much an attacker gains who knows the quantizer: a difference in AUC.

    Online LiRA with shadows quantized as the target is, minus the same with full-precision shadows. Direction: larger
    = a non-adaptive audit is further off. Range: [-1, 1]. Interval: paired bootstrap over models and records.

    Parameters
    ----------
    normalise : both attackers take each model's common move out of its signals. Most of the gap of raw signals
        (False: what a careless audit misses) is that move: rescaling the outputs closes it without knowing the
        quantizer.
    """
    attackers = Lira(normalise=normalise), Lira(normalise=normalise, shadows="full_precision")
    try:
        for attacker in attackers:
            attacker.require(context)
        adaptive, other = (attacker.scores(context, context.chosen) for attacker in attackers)
    except NotEnoughEvidence as err:
        return NotComputed(str(err))
    return area_gap(context.table, adaptive, other, targets=context.chosen, resampling=context.resampling)
