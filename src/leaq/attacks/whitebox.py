"""White-box attack on the released quantized weights: LiRA on two signals, the outputs' and the gradients'.

Whoever holds the released file can compute the loss gradient g_i of any record i of the pool by the quantized weights.
Training made the members' gradients cancel, as far as quantization left that intact; the gradients of non-members do
not. So the signal is how far a record's gradient points along the sum of everybody else's,

    a_i = <g_i, sum_{j != i} g_j> / |g_i|

for a member of a well-fitted model one of many terms that balance, for a non-member not. Beside LiRA's own signal
(log-odds margin or signed residual) it enters two bivariate Gaussians, in and out, fitted over equally quantized
shadows. Chosen by measurement among gradient norm, last-layer alignment and their logarithms: under one-bit weights it
added most to what the outputs give away (docs/attacks.md).

Source: gradients as the informative white-box feature: Nasr, Shokri, Houmansadr, "Comprehensive Privacy Analysis of
Deep Learning" (arXiv 1812.00910v2), section III; the test: Carlini et al. (arXiv 2112.03570v2), Algorithm 1 with a
multivariate signal (section VI-B). The alignment with the rest of the pool is our choice.
"""

from collections.abc import Sequence

import numpy as np

from leaq.attacks.rescoring import of_models, rescoring
from leaq.attacks.scoring import Attack, Protocol, attack_result, chosen_targets
from leaq.attacks.shadows import InOut, Shadows, number_of_shadows, signal
from leaq.types import AttackResult, Floats, LossTable

__all__ = ["whitebox", "whitebox_scores"]

ATTACKER = (
    "sees the released quantized weights and computes the loss gradients of the pool with them; knows the pool, the "
    "training rule and the quantizer; {s} shadow models"
)


def whitebox(
    table: LossTable, *, targets: Sequence[int] | None = None, protocol: Protocol | None = None
) -> AttackResult:
    """Tell how much more the released weights give away than the outputs do.

    Direction: smaller is safer; compare with lira-online, which sees the outputs only. Range: advantage in [-1, 1].
    Do not trust a value at or below LiRA's as proof that weights add nothing: it is one statistic of the weights, not
    the best one. A lower bound on leak_n of the game played, like every attack.

    Parameters
    ----------
    table : scores, and the white-box statistics of `leaq.evaluation.with_whitebox`.

    Raises
    ------
    InvalidInput
        If the table holds no white-box statistics.
    NotEnoughEvidence
        If there are fewer than 4 shadows, or a record is in (or out of) none of a target's shadows.
    """
    chosen = chosen_targets(table, targets)
    scores = whitebox_scores(table, targets=chosen)
    shadows = number_of_shadows(Shadows(table.released, table.members), chosen)
    attack = Attack("whitebox", ATTACKER.format(s=shadows))
    scores_from = rescoring(lambda models, who: whitebox_scores(of_models(table, models), targets=who))
    return attack_result(
        attack, table, scores, targets=chosen, protocol=protocol or Protocol(), scores_from=scores_from
    )


def whitebox_scores(table: LossTable, *, targets: Sequence[int] | None = None) -> Floats:
    """Return the bivariate log-likelihood ratio of each record, (t, n): higher = more likely a member."""
    chosen = chosen_targets(table, targets)
    pair = [signal(table, kind, attack="whitebox") for kind in ("auto", "whitebox")]
    pair = [values / max(float(values.std()), 1e-12) for values in pair]  # one scale, or the sum below drowns one
    shadows = [Shadows(values, table.members) for values in (*pair, pair[0] + pair[1])]
    scores = np.empty((len(chosen), table.members.shape[1]))
    for row, target in enumerate(chosen):
        known = [each.of(target, attack="whitebox") for each in shadows]
        here = [values[target] for values in pair]
        scores[row] = _log_normal(here, known, inside=True) - _log_normal(here, known, inside=False)
    return scores


def _log_normal(here: Sequence[Floats], known: Sequence[InOut], *, inside: bool) -> Floats:
    """Log density of both signals under one Gaussian a record with a covariance common to all records, (n,)."""
    side = 0 if inside else 1
    first, second, both = (float(each.variances("fixed")[side]) for each in known)
    covariance = (both - first - second) / 2
    # Perfectly dependent signals would make the density singular; a millionth of either variance keeps it defined.
    bound = np.sqrt(first * second) * (1 - 1e-6)
    covariance = float(np.clip(covariance, -bound, bound))
    means = [each.mean_in if inside else each.mean_out for each in known[:2]]
    a, b = (value - mean for value, mean in zip(here, means, strict=True))
    determinant = first * second - covariance**2
    square = (second * a**2 - 2 * covariance * a * b + first * b**2) / determinant
    return np.asarray(-0.5 * (np.log(determinant) + square))
