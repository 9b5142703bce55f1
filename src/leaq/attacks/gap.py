"""What an audit misses that attacks a quantized model with full-precision shadow models, before and after rescaling."""

from leaq.attacks.base import Context
from leaq.attacks.lira import Lira
from leaq.attacks.scoring import area_gap
from leaq.errors import NotEnoughEvidence
from leaq.types import Estimate, NotComputed


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
