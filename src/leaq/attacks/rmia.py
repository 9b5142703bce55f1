"""Robust membership inference (RMIA): is the record more likely under the model than other records of the pool are?

    LR(x, z) = (p(x | model) / p(x)) / (p(z | model) / p(z)),    score(x) = share of z with LR(x, z) >= gamma,

p(x) being the mean likelihood of x over shadow models, half of it from those that trained on x.

Source: Zarifzadeh, Liu, Shokri, "Low-Cost High-Power Membership Inference Attacks" (arXiv 2312.03262v3), equations 2
and 3; offline p(x) = ((1 + a) p_out(x) + (1 - a)) / 2, appendix B.2.2.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from leaq.attacks.base import Context, Ingredient, MembershipAttack, Sides
from leaq.attacks.shadows import Shadows
from leaq.types import Floats, LossTable


class Rmia(MembershipAttack):
    """Pairwise likelihood ratios against the other records of the pool, on losses as published.

    Direction: smaller is safer. Range: advantage in [-1, 1]. Meant for few shadows (1 to 8), where LiRA's Gaussians
    are poor; with more, LiRA usually finds as much. Do not trust when it is quiet and shadows are many: look at LiRA.
    Within one model the score is a monotone function of the ratio p(x | model) / p(x), so neither gamma nor the
    records compared with change the order of records, only the scale on which models are compared.

    Regression: the likelihood of a target is Gaussian around the prediction, with one noise variance for all records.

    mode : "online" takes shadows in and out of a record, "offline" only those out.
    gamma : how much likelier the record must be than the other, from 1.
    a : offline only: how much smaller p_out is than p; 0 = p is half way to 1, 1 = p is p_out. 0.33 is the paper's
        value for CIFAR-10.

    Raises
    ------
    NotEnoughEvidence
        If there are fewer than 4 shadows, or a record is in (or out of) none of a target's shadows.
    """

    name: ClassVar[str] = "rmia"
    place: ClassVar[int] = 4
    source: ClassVar[str] = "arXiv 2312.03262v3"
    examples: ClassVar[tuple[str, ...]] = ("rmia(mode=offline)", "rmia")

    mode: Literal["online", "offline"] = "online"
    gamma: float = Field(default=2.0, ge=1)
    a: float = Field(default=0.33, ge=0, le=1)
    needs: ClassVar[tuple[Ingredient, ...]] = ("shadows",)

    @property
    def sides(self) -> Sides:
        """Both online; offline the shadows that did not train on the record."""
        return "both" if self.mode == "online" else "out"

    def scores(self, context: Context, targets: Sequence[int], excluded: Sequence[int] = ()) -> Floats:
        """Return the share of records each record beats, (t, n) in [0, 1]; ties are broken by the ratio itself.

        Many records tie (all that beat everybody, all that beat nobody). Within a tie the ratio decides: 1e-9 times its
        rank is added.
        """
        logp = log_likelihood(context.table, excluded)
        # Means of likelihoods, not of their logarithms; 1 is the largest likelihood, so nothing overflows.
        shadows = Shadows(np.exp(logp), context.table.members)
        known = shadows.of_all(targets, excluded, attack=self.spec(), sides=self.sides)
        if self.mode == "online":
            marginal = (known.mean_in + known.mean_out) / 2
        else:
            marginal = ((1 + self.a) * known.mean_out + (1 - self.a)) / 2
        ratios = logp[list(targets)] - np.log(np.maximum(marginal, np.finfo(np.float64).tiny))
        scores = np.empty(ratios.shape)
        for row, ratio in enumerate(ratios):
            order = np.argsort(ratio)
            ordered = ratio[order]  # looked up in their order, which is faster
            beaten = np.searchsorted(ordered, ordered - np.log(self.gamma), side="right") / len(ratio)
            scores[row, order] = beaten + 1e-9 * np.searchsorted(ordered, ordered) / len(ratio)
        return scores

    def knows(self, context: Context) -> str:
        return (
            "sees the quantized model's losses; knows the pool, the training rule and the quantizer; "
            f"{context.shadows_of()} shadow models, the rest of the pool as comparison"
        )

    def title(self) -> str:
        return f"{'RMIA' if self.mode == 'online' else 'offline RMIA'} with equally quantized shadow models"

    def short(self) -> str:
        return "RMIA" if self.mode == "online" else "RMIA, offline"

    def explain(self) -> str:
        return "Share of the pool's records that a record beats in how much the model favours it over shadow models."


def log_likelihood(table: LossTable, excluded: Sequence[int] = ()) -> Floats:
    """Return log p(target | model) of each model and record, (s, n), at most 0.

    Classification: minus the cross-entropy. Regression: Gaussian around the prediction, divided by its peak; the
    variance is the mean squared error of all models but those excluded on all records, which tells nothing about who is
    a member.
    """
    losses = table.released
    if table.task != "regression":  # of several targets the mean over a record's labels
        return -losses
    return -losses / (2 * max(float(np.delete(losses, list(excluded), axis=0).mean()), 1e-12))
