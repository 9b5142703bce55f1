"""Who is called a member: the threshold an attacker acts by, and where it comes from.

An attacker with shadow models knows who trained those, so the threshold that separates best on them is his own. One
without has to be told the membership of other records; that is another game, and its result says so.
"""

from functools import lru_cache

import numpy as np

from leaq.seeds import stream
from leaq.stats.roc import above, best_thresholds
from leaq.types import Bools, Floats, Ints

FEWEST_OTHERS = 3
"""Other attacked models, exact complements aside, below which their scores give no threshold."""
CUTS = 4096
"""Thresholds that are tried where the scores hold more; evenly spaced in rank."""


def halves_of(groups: Ints, *, seed: int, target: int) -> Bools:
    """Return one half of the records as a mask, groups whole: thresholds come from one half and act on the other."""
    code, count = _codes(np.ascontiguousarray(groups).tobytes(), np.asarray(groups).dtype.str)
    order = stream(seed, "threshold-halves", target).permutation(count)
    return np.asarray((order % 2 == 0)[code])


@lru_cache(maxsize=2)
def _codes(groups: bytes, dtype: str) -> tuple[Ints, int]:
    """Return a code 0..g-1 for each record's group, and g: asked for once a model, and the same each time."""
    _, code = np.unique(np.frombuffer(groups, dtype=dtype), return_inverse=True)
    return code, int(code.max()) + 1


def cross_fitted_decisions(scores: Floats, members: Bools, groups: Ints, *, seed: int) -> Bools:
    """Call each record member or not, by the threshold that was best on the other half of the records: (t, n).

    A half that holds one kind only teaches nothing: nobody in the other half is accused.
    """
    half = np.stack([halves_of(groups, seed=seed, target=t) for t in range(len(scores))])
    limits = [best_thresholds(scores, members, chosen_on)[:, None] for chosen_on in (half, ~half)]
    return np.asarray(scores > np.where(half, limits[1], limits[0]))


def thresholds_by_others(scores: Floats, members: Bools) -> Floats | None:
    """Return for each model the threshold that is best on the other models' scores, (t,): above it is a member.

    No membership in the judged model is used: the model itself and its exact complements, which hold the same coins,
    choose no threshold. Scores of all models must be on one scale. None where a model has fewer than three others.

    Parameters
    ----------
    scores, members : (t, n) of the attacked models.
    """
    pair = pairs_of(members)
    if min(int((pair != mine).sum()) for mine in pair) < FEWEST_OTHERS:
        return None
    cuts = _cuts(scores)
    gain = np.subtract(*above(scores, members, cuts))
    by_pair = (pair == np.arange(int(pair.max()) + 1)[:, None]).astype(np.float64) @ gain
    best: Floats = cuts[(gain.sum(0) - by_pair).argmax(1)]
    return best[pair]


def signed(decisions: Bools, members: Bools) -> Floats:
    """Return TPR - FPR of each model, (t,)."""
    hits, alarms = decisions & members, decisions & ~members
    return np.asarray(hits.sum(1) / members.sum(1) - alarms.sum(1) / (~members).sum(1))


def pairs_of(members: Bools) -> Ints:
    """Return a code 0..p-1 for each model, (t,): a model shares it with its exact complements and copies."""
    canonical = np.where(members[:, :1], members, ~members)
    codes: dict[bytes, int] = {}
    found = [codes.setdefault(row.tobytes(), len(codes)) for row in np.packbits(canonical, axis=1)]
    return np.asarray(found, dtype=np.int64)


def _cuts(scores: Floats) -> Floats:
    """Return thresholds halfway between neighbouring scores of all models, and one that accuses nobody, ascending."""
    values = np.sort(scores, axis=None)
    if len(values) > CUTS:
        values = values[np.linspace(0, len(values) - 1, CUTS).round().astype(int)]
    values = values[np.r_[True, values[1:] > values[:-1]]]
    return np.concatenate([[-np.inf], (values[1:] + values[:-1]) / 2, [np.inf]])
