"""Advantage and AUC of each model, what becomes of them when records are drawn anew, and scoring anew.

Scoring anew with fewer shadows is what intervals and epsilon bounds need of an attack that has shadow models.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from leaq.attacks.decisions import pairs_of, signed, thresholds_by_others
from leaq.errors import NotEnoughEvidence
from leaq.seeds import stream
from leaq.stats.crossed import Influence
from leaq.stats.intervals import BootstrapWeights, TwoWay, jackknife_influence
from leaq.stats.roc import placements
from leaq.types import Bools, Floats, Ints, LossTable


def resamples(groups: Ints, members: Bools, *, draws: int, seed: int) -> BootstrapWeights:
    """Return the bootstrap weights all attacks on the same models share, so that they are drawn once.

    Models of complementary halves are drawn together: they share every coin and are one draw of a split, not two.
    """
    return _resamples(groups.tobytes(), np.packbits(members, axis=1).tobytes(), draws=draws, seed=seed)


@lru_cache(maxsize=2)
def _resamples(groups: bytes, packed: bytes, *, draws: int, seed: int) -> BootstrapWeights:
    group = np.frombuffer(groups, dtype=np.int64)
    bits = np.frombuffer(packed, dtype=np.uint8).reshape(-1, -(-len(group) // 8))
    members = np.unpackbits(bits, axis=1, count=len(group)).astype(bool)
    units = pairs_of(members)
    ways = TwoWay.draw(len(bits), group, draws=draws, rng=stream(seed, "attack-intervals"), units=units)
    return BootstrapWeights(ways, members)


def advantages(decisions: Bools, drawn: BootstrapWeights) -> tuple[Floats, Floats]:
    """Return TPR - FPR of each model, (t,), and in each draw of the records, (b, t)."""
    found, either = np.split(drawn.weight(np.concatenate([decisions & drawn.positive, decisions])), 2, axis=1)
    draws = _ratio(found, drawn.inside) - _ratio(either - found, drawn.outside)
    return signed(decisions, drawn.positive), draws


def areas(scores: Floats, drawn: BootstrapWeights) -> tuple[Floats, Floats]:
    """Return the area under each model's ROC curve, (t,), and in each draw, (b, t): linear in the record weights.

    See `placements`.
    """
    members = drawn.positive
    parts = placements(scores, members)  # (t, n)
    area = np.array([part[inside].mean() for part, inside in zip(parts, members, strict=True)])
    inside, outside = np.split(drawn.weight(np.concatenate([parts * members, parts * ~members])), 2, axis=1)
    return area, _ratio(inside, drawn.inside) + _ratio(outside, drawn.outside) - area


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Share of drawn weights, (b, t); NaN where none was drawn."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share: Floats = part / whole
    return share


FEWEST_PARTS = 3
"""Pairs of complementary models below which a jackknife over them says nothing."""
RESCORED = 20_000_000
"""Record-model pairs that are scored anew, at most, to see what targets owe to the shadows they share."""

ScoresFrom = Callable[[Sequence[int], Sequence[int]], Floats]
"""How an attack with shadow models scores anew: ``scores_from(targets, shadows)`` returns (len(targets), n) scores of
these models of the table by an attacker whose shadows are `shadows` alone, each target and its exact complements left
out of them. Raises `NotEnoughEvidence` where they are too few."""


def jackknife_parts(units: int, cells: int) -> int:
    """Return in how many parts units of models are left out, of `cells` record-model pairs: each alone if it may be."""
    return min(units, max(FEWEST_PARTS, RESCORED // cells))


@dataclass(frozen=True)
class Influences:
    """Influence of each unit of models on what an attack finds; None where nothing can be scored anew.

    Attributes
    ----------
    advantage : half by thresholds chosen anew, half by those of all: that scores move as a whole must be seen, but
        which of many near-best thresholds wins jumps, and a jackknife makes too much of jumps.
    same_thresholds : on the advantage by the thresholds of all, for differences between attacks, in which what the
        choice of thresholds adds mostly cancels.
    area : on the area under the ROC curve.
    """

    advantage: Influence | None = None
    same_thresholds: Influence | None = None
    area: Influence | None = None


@dataclass(frozen=True)
class Shared:
    """What targets owe to the shadows they share: a pair of models moves its own numbers and all others'."""

    table: LossTable
    targets: Sequence[int]
    thresholds: Floats
    scores_from: ScoresFrom

    def influence(self, drawn: BootstrapWeights) -> "Influences":
        """Return the jackknife influence of each unit of models on advantage and AUC, its shadows included.

        Where scoring anew without each unit would cost more than `RESCORED` cells, several are left out at once.
        """
        unit = drawn.ways.units
        number = int(unit.max()) + 1
        if number < FEWEST_PARTS:
            return Influences()
        parts = jackknife_parts(number, drawn.positive.size)
        part = np.arange(number) % parts
        try:
            found = np.array([self._without(part[unit] == one, drawn) for one in range(parts)])  # (parts, 3, 1 + b)
        except NotEnoughEvidence:
            return Influences()
        # Leaving several units out at once tells their mean influence: the spread of the mean over all stays the same.
        moved = jackknife_influence(found)[part] * (number / parts) ** 0.5
        return Influences(*(Influence(moved[:, i, 0], moved[:, i, 1:].T) for i in range(3)))

    def _without(self, out: Bools, drawn: BootstrapWeights) -> Floats:
        """Return the numbers of `Influences` for the models that stay, and in each draw of the records, (3, 1 + b).

        None of those left `out` (t,) is among the shadows.
        """
        pair, chosen = pairs_of(self.table.members), np.asarray(self.targets)
        stay = chosen[~out].tolist()
        scores = self.scores_from(stay, np.flatnonzero(~np.isin(pair, pair[chosen[out]])).tolist())
        here = drawn.of(~out)
        same = self.thresholds[~out]
        anew = thresholds_by_others(scores, here.positive)
        old, new = (advantages(scores > one[:, None], here) for one in (same, same if anew is None else anew))
        both = [(a + b) / 2 for a, b in zip(old, new, strict=True)]
        found = []
        for values, draws in (both, old, areas(scores, here)):
            known = np.where(np.isfinite(draws), draws, np.nanmean(draws))  # nothing found: the mean of all draws
            found.append(np.r_[values.mean(), np.nanmean(known, axis=1)])
        return np.stack(found)
