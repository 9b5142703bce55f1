"""The knee of the trade-off: the model that takes away most of the leak for the least of the skill."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leaq.decisions.evidence import Evidence
from leaq.stats.selection import pairs_factor
from leaq.types import Floats

LEAST_SHARE = 0.2
"""Share of the leak that has to go for a knee to be worth a sentence."""
DEAREST = 1 / 3
"""A knee loses at most this share of the skill for each share of the leak that goes: in thirds, a bargain."""


@dataclass(frozen=True)
class Knee:
    """A bargain that stands out.

    Attributes
    ----------
    quantizer, label : which model it is.
    before, after : leak of full precision, and of the knee.
    share : of the leak that goes.
    halves : whether more than half of it goes, beyond doubt.
    may_lose : loss of the metric that cannot be excluded.
    skill_share : that loss as a share of what full precision has above guessing.
    """

    quantizer: str
    label: str
    before: float
    after: float
    share: float
    halves: bool
    may_lose: float
    skill_share: float


def find_knee(
    leaks: Evidence, worst: Floats, apart: Floats, *, skill: float, labels: Sequence[str], seed: int = 0
) -> Knee | None:
    """Return the model with the largest share of the leak taken away minus share of the skill lost, if it is a bargain.

    Skill is counted above guessing, losses at the end of an interval that holds for all models at once, and only models
    count whose leak is told apart from that of full precision. No knee is said to be one unless a fifth of the leak
    goes and three times as large a share of the leak as of the skill.

    Parameters
    ----------
    leaks : of k models, full precision first.
    worst : (k,) loss of each that cannot be excluded; infinite where it predicts nothing.
    apart : (k, k) how much larger than the first leak the second must be to be told apart from it.
    skill : of full precision above guessing.
    """
    before = float(leaks.means[0])
    if before <= 0 or skill <= 0:
        return None
    gone = before - leaks.means
    share, lost = np.minimum(gone / before, 1.0), np.maximum(worst, 0.0) / skill
    bargains = (gone > apart[:, 0]) & (share >= LEAST_SHARE) & (lost <= DEAREST * share)
    bargains[0] = False
    if not bargains.any():
        return None
    best = int(np.where(bargains, share - lost, -np.inf).argmax())
    draws = leaks.draws(seed=seed)
    rest = draws[:, 0] - 2 * draws[:, best]
    surely = before - 2 * float(leaks.means[best]) - pairs_factor(draws) * float(rest.std())
    return Knee(
        quantizer=leaks.quantizers[best],
        label=labels[best],
        before=before,
        after=float(leaks.means[best]),
        share=float(share[best]),
        halves=surely > 0,
        may_lose=float(worst[best]),
        skill_share=float(lost[best]),
    )
