"""White-box attack on the released quantized weights: a likelihood ratio of the outputs' and the gradients' signals.

Whoever holds the released file can compute the loss gradient g_i of any record i of the pool by the quantized weights.
Training made the members' gradients cancel, as far as quantization left that intact; the gradients of non-members do
not. So one signal is how far a record's gradient points along the sum of everybody else's,

    a_i = <g_i, sum_{j != i} g_j> / |g_i|

for a member of a well-fitted model one of many terms that balance, for a non-member not. Another is log |g_i|. Beside
the output's own signal they enter two multivariate Gaussians, in and out, fitted over equally quantized shadows.

Source: gradients as the informative white-box feature: Nasr, Shokri, Houmansadr, "Comprehensive Privacy Analysis of
Deep Learning" (arXiv 1812.00910v2), section III; the test: Carlini et al. (arXiv 2112.03570v2), Algorithm 1 with a
multivariate signal (section VI-B). The alignment with the rest of the pool is our choice.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from leaq.attacks.base import Access, Context, Ingredient, MembershipAttack
from leaq.attacks.shadows import Shadows
from leaq.types import Floats, Ints

GRADIENTS = 2
"""Statistics of the whole gradient: its alignment and its norm; those by layer are for `combined`."""


class WhiteBox(MembershipAttack):
    """LiRA on three signals: the output's, the alignment of the record's loss gradient, and its norm.

    Direction: smaller is safer; compare with lira, which sees the outputs only. Range: advantage in [-1, 1].
    Do not trust a value at or below LiRA's as proof that weights add nothing: these are few statistics of the weights,
    not the best ones. A lower bound on the leak of the game played, like every attack.

    Raises
    ------
    NotEnoughEvidence
        If the table holds no white-box statistics (`leaq.evaluation.with_whitebox` adds them), if there are fewer than
        4 shadows, or a record is in (or out of) none of a target's shadows.
    """

    name: ClassVar[str] = "whitebox"
    place: ClassVar[int] = 6
    source: ClassVar[str] = "arXiv 1812.00910v2, arXiv 2112.03570v2"
    examples: ClassVar[tuple[str, ...]] = ("whitebox",)
    needs: ClassVar[tuple[Ingredient, ...]] = ("shadows", "scores", "whitebox")
    access: ClassVar[Access] = "file"

    def scores(self, context: Context, targets: Sequence[int], excluded: Sequence[int] = ()) -> Floats:
        """Return multivariate log-likelihood ratios, (t, n)."""
        signals = np.stack([context.signals.outputs[0], *context.signals.gradients[:GRADIENTS]], axis=-1)
        signals = signals - signals.mean(0)
        members, places = context.table.members, range(signals.shape[2])
        shadows = [Shadows(signals[:, :, w], members) for w in places]
        known = [one.of_all(targets, excluded, attack=self.spec()) for one in shadows]
        # Of each model's signals, added up over the records it trained on and over the others: (s, w, w) each.
        products = [
            np.stack([one[kept].T @ one[kept] for one, kept in zip(signals, mask, strict=True)])
            for mask in (members, ~members)
        ]
        others = np.zeros((len(targets), len(members)))
        for row, target in enumerate(targets):
            others[row, shadows[0].models(target, excluded, attack=self.spec())] = 1
        here, sides = signals[list(targets)], []
        for product, mean, count in zip(products, ("mean_in", "mean_out"), ("count_in", "count_out"), strict=True):
            middle = np.stack([getattr(one, mean) for one in known], axis=2)  # (t, n, w)
            of_shadows = np.tensordot(others, product, 1)  # (t, w, w)
            sides.append(_log_normal(here, middle, _covariance(of_shadows, middle, getattr(known[0], count))))
        return np.asarray(sides[0] - sides[1])

    def knows(self, context: Context) -> str:
        return (
            "holds the released quantized weights and computes the loss gradients of the pool with them; knows the "
            f"pool, the training rule and the quantizer; {context.shadows_of()} shadow models"
        )

    def title(self) -> str:
        return "attack on the released weights' gradients"

    def short(self) -> str:
        return "White box"

    def explain(self) -> str:
        return "LiRA on the output, on how a record's loss gradient aligns with the others', and on its norm."


def _covariance(product: Floats, mean: Floats, count: Ints) -> Floats:
    """Return the covariance (t, w, w) common to all records about their own means (t, n, w) over `count` shadows."""
    freedom = np.maximum(1, (count - 1).sum(1))[:, None, None]
    found = (product - (count[:, :, None] * mean).transpose(0, 2, 1) @ mean) / freedom
    # Perfectly dependent signals would make the density singular; a millionth of the variances keeps it defined.
    place = np.arange(found.shape[2])
    variances = np.maximum(found[:, place, place], 0.0)
    found[:, place, place] = variances + 1e-6 * variances + 1e-12
    return np.asarray(found)


def _log_normal(here: Floats, mean: Floats, covariance: Floats) -> Floats:
    """Log density (t, n) of signals (t, n, w) under a Gaussian a record with a covariance common to all records."""
    factor = np.linalg.cholesky(covariance)
    scaled = np.linalg.solve(factor, (here - mean).transpose(0, 2, 1))  # (t, w, n)
    spread = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(1)
    return np.asarray(-0.5 * (scaled**2).sum(1) - spread[:, None])
