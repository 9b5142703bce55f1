"""Advantage and AUC of each model, and what becomes of them when records are drawn anew."""

from functools import lru_cache

import numpy as np

from leaq.attacks.decisions import pairs_of, signed
from leaq.seeds import stream
from leaq.stats.intervals import BootstrapWeights, TwoWay
from leaq.stats.roc import placements
from leaq.types import Bools, Floats, Ints


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
    found = drawn.weight(decisions & drawn.positive)
    draws = _ratio(found, drawn.inside) - _ratio(drawn.weight(decisions) - found, drawn.outside)
    return signed(decisions, drawn.positive), draws


def areas(scores: Floats, drawn: BootstrapWeights) -> tuple[Floats, Floats]:
    """Return the area under each model's ROC curve, (t,), and in each draw, (b, t): linear in the record weights.

    See `placements`.
    """
    members = drawn.positive
    parts = placements(scores, members)  # (t, n)
    area = np.array([part[inside].mean() for part, inside in zip(parts, members, strict=True)])
    draws = _ratio(drawn.weight(parts * members), drawn.inside)
    return area, draws + _ratio(drawn.weight(parts * ~members), drawn.outside) - area


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Share of drawn weights, (b, t); NaN where none was drawn."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share: Floats = part / whole
    return share
