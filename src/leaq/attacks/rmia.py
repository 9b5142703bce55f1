"""Robust membership inference (RMIA): is the record more likely under the model than other records of the pool are?

    LR(x, z) = (p(x | model) / p(x)) / (p(z | model) / p(z)),    score(x) = share of z with LR(x, z) >= gamma,

p(x) being the mean likelihood of x over shadow models, half of it from those that trained on x.

Source: Zarifzadeh, Liu, Shokri, "Low-Cost High-Power Membership Inference Attacks" (arXiv 2312.03262v3), equations 2
and 3; offline p(x) = ((1 + a) p_out(x) + (1 - a)) / 2, appendix B.2.2.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from leaq.attacks.rescoring import of_models, rescoring
from leaq.attacks.scoring import Attack, Protocol, attack_result, chosen_targets
from leaq.attacks.shadows import Shadows, number_of_shadows
from leaq.errors import InvalidInput
from leaq.types import AttackResult, Floats, LossTable

__all__ = ["log_likelihood", "rmia", "rmia_scores"]

ATTACKER = (
    "sees the quantized model's losses; knows the pool, the training rule and the quantizer; {s} shadow models, the "
    "rest of the pool as comparison"
)


def rmia(
    table: LossTable,
    *,
    mode: Literal["online", "offline"] = "online",
    gamma: float = 2.0,
    a: float = 0.33,
    targets: Sequence[int] | None = None,
    protocol: Protocol | None = None,
) -> AttackResult:
    """Tell how well pairwise likelihood ratios against other records find members.

    Direction: smaller is safer. Range: advantage in [-1, 1]. Meant for few shadows (1 to 8), where LiRA's Gaussians
    are poor; with more, LiRA usually finds as much. Do not trust when it is quiet and shadows are many: look at LiRA.

    Regression: the likelihood of a target is Gaussian around the prediction, with one noise variance for all records.

    Parameters
    ----------
    table : losses of models released under one quantizer.
    mode : "online" takes shadows in and out of a record, "offline" only those out.
    gamma : how much likelier the record must be than the other, from 1.
    a : offline only: how much smaller p_out is than p; 0 = p is half way to 1, 1 = p is p_out.

    Raises
    ------
    NotEnoughEvidence
        If there are fewer than 4 shadows, or a record is in (or out of) none of a target's shadows.
    """
    chosen = chosen_targets(table, targets)
    scores = rmia_scores(table, mode=mode, gamma=gamma, a=a, targets=chosen)
    shadows = number_of_shadows(Shadows(table.released, table.members), chosen)
    attack = Attack("rmia" if mode == "online" else "rmia-offline", ATTACKER.format(s=shadows))
    scores_from = rescoring(
        lambda models, who: rmia_scores(of_models(table, models), mode=mode, gamma=gamma, a=a, targets=who)
    )
    return attack_result(
        attack, table, scores, targets=chosen, protocol=protocol or Protocol(), scores_from=scores_from
    )


def rmia_scores(
    table: LossTable,
    *,
    mode: Literal["online", "offline"] = "online",
    gamma: float = 2.0,
    a: float = 0.33,
    targets: Sequence[int] | None = None,
) -> Floats:
    """Return the share of records each record beats, (t, n) in [0, 1]; ties are broken by the ratio itself.

    For one model the share is a monotone function of the ratio p(x | model) / p(x), so many records tie (all that beat
    everybody, all that beat nobody). Within a tie the ratio decides: 1e-9 times its rank is added.
    """
    if mode not in ("online", "offline") or gamma < 1 or not 0 <= a <= 1:
        raise InvalidInput(
            f"rmia: needs mode online or offline, gamma >= 1, 0 <= a <= 1. Found {mode!r}, {gamma}, {a}."
        )
    chosen = chosen_targets(table, targets)
    logp = log_likelihood(table)
    # Means of likelihoods, not of their logarithms; 1 is the largest likelihood, so nothing overflows.
    shadows = Shadows(np.exp(logp), table.members)
    scores = np.empty((len(chosen), logp.shape[1]))
    for row, target in enumerate(chosen):
        known = shadows.of(target, attack="RMIA", sides="both" if mode == "online" else "out")
        if mode == "online":
            marginal = (known.mean_in + known.mean_out) / 2
        else:
            marginal = ((1 + a) * known.mean_out + (1 - a)) / 2
        ratio = logp[target] - np.log(np.maximum(marginal, np.finfo(np.float64).tiny))
        order = np.sort(ratio)
        beaten = np.searchsorted(order, ratio - np.log(gamma), side="right") / len(ratio)
        scores[row] = beaten + 1e-9 * np.searchsorted(order, ratio) / len(ratio)
    return scores


def log_likelihood(table: LossTable) -> Floats:
    """Return log p(target | model) of each model and record, (s, n), at most 0.

    Classification: minus the cross-entropy. Regression: Gaussian around the prediction, divided by its peak; the
    variance is the mean squared error of all models on all records, which tells nothing about who is a member.
    """
    losses = table.released
    if table.task == "classification":
        return -losses
    return -losses / (2 * max(float(losses.mean()), 1e-12))
