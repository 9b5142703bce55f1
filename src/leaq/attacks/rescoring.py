"""Scoring anew with fewer shadows: what intervals and epsilon bounds need of an attack that has shadow models."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from leaq.attacks.decisions import pairs_of, signed, thresholds_by_others
from leaq.errors import NotEnoughEvidence
from leaq.stats.intervals import Drawn, jackknife_influence
from leaq.stats.roc import auc
from leaq.types import Bools, Floats, LossTable

__all__ = ["ScoresFrom", "Shared"]

FEWEST_PARTS = 3
"""Pairs of complementary models below which a jackknife over them says nothing."""
RESCORED = 20_000_000
"""Record-model pairs that are scored anew, at most, to see what targets owe to the shadows they share."""

ScoresFrom = Callable[[Sequence[int], Sequence[int]], Floats]
"""How an attack with shadow models scores anew: ``scores_from(targets, shadows)`` returns (len(targets), n) scores of
these models of the table by an attacker whose shadows are `shadows` alone, each target and its exact complements left
out of them. Raises `NotEnoughEvidence` where they are too few."""


@dataclass(frozen=True)
class Shared:
    """What targets owe to the shadows they share: a pair of models moves its own numbers and all others'."""

    table: LossTable
    targets: Sequence[int]
    thresholds: Floats
    scores_from: ScoresFrom

    def influence(self, drawn: Drawn) -> tuple[Floats, Floats] | tuple[None, None]:
        """Return the jackknife influence (u,) of each unit of models on advantage and AUC, its shadows included.

        Where scoring anew without each unit would cost more than `RESCORED` cells, several are left out at once.
        """
        unit = drawn.ways.units
        number = int(unit.max()) + 1
        if number < FEWEST_PARTS:
            return None, None
        parts = min(number, max(FEWEST_PARTS, RESCORED // drawn.positive.size))
        part = np.arange(number) % parts
        try:
            found = np.array([self._without(part[unit] == one) for one in range(parts)])  # (parts, 2)
        except NotEnoughEvidence:
            return None, None
        # Leaving several units out at once tells their mean influence: the spread of the mean over all stays the same.
        advantage, area = (jackknife_influence(column)[part] * (number / parts) ** 0.5 for column in found.T)
        return advantage, area

    def _without(self, out: Bools) -> tuple[float, float]:
        """Return advantage and AUC of the models that stay, with none of those left `out` (t,) among their shadows.

        The advantage is the mean of that by thresholds chosen anew and of that by the thresholds of all: that scores
        move as a whole must be seen, but which of many near-best thresholds wins jumps, and a jackknife makes too much
        of jumps.
        """
        pair, chosen = pairs_of(self.table.members), np.asarray(self.targets)
        stay = chosen[~out].tolist()
        scores = self.scores_from(stay, np.flatnonzero(~np.isin(pair, pair[chosen[out]])).tolist())
        members = self.table.members[stay]
        old = self.thresholds[~out]
        new = thresholds_by_others(scores, members)
        advantages = [signed(scores > one[:, None], members).mean() for one in (old, old if new is None else new)]
        areas = [auc(row, inside) for row, inside in zip(scores, members, strict=True)]
        return float(np.mean(advantages)), float(np.mean(areas))
