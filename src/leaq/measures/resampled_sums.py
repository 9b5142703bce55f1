"""What the other training records add up to, and how one record sways the choice: two laws of one quantity.

`SampledSets` draws training sets from the records themselves, which keeps whatever shape their losses have. `Normal`
puts the normal law of the same mean and covariance in their place: wrong where few skewed losses are added, but a
smooth function of the weights of the records, which is what a bootstrap needs.

Two games. Independent members: the others are n - 1 records drawn with replacement. Pool: members are n of N known
records, drawn without replacement; a record is then put into a training set in another one's place, or taken out for
another one.
"""

from dataclasses import dataclass

import numpy as np

from leaq.measures.argmin_counts import ArgminCounter, as_they_are
from leaq.types import Floats, Ints

BLOCK = 2**22
"""Numbers held at once while training sets are drawn."""


@dataclass(frozen=True)
class MemberSampling:
    """How members are drawn: `n` of them, independently, or from a `pool` of that many records (0: independently)."""

    n: int
    pool: int = 0


@dataclass(frozen=True)
class SampledSets:
    """Training sets drawn from N records.

    Attributes
    ----------
    counts : (t, N) how often each record is among the n - 1 others, or in the pool game among all n members.
    copies : (N,) how many records of the pool each one stands for; empty without a pool.
    leaving, joining : (t,) a random member, and a random non-member, of each training set of the pool game.
    """

    counts: Floats
    copies: Ints
    leaving: Ints
    joining: Ints

    @classmethod
    def sets(cls, records: int, game: MemberSampling, draws: int, rng: np.random.Generator) -> "SampledSets":
        """Draw `draws` training sets from `records` records that are equally likely."""
        none = np.empty(0, np.int64)
        if not game.pool:
            return cls(with_replacement(records, game.n - 1, draws, rng), none, none, none)
        copies = stand_ins(records, game.pool)
        owner = np.repeat(np.arange(records), copies)
        places = rng.random((draws, game.pool), dtype=np.float32).argpartition(game.n, axis=1)[:, : game.n + 1]
        members, joining = owner[places[:, :-1]], owner[places[:, -1]]
        leaving = np.take_along_axis(members, rng.integers(game.n, size=(draws, 1)), 1)[:, 0]
        return cls(_tally(members, records), copies, leaving, joining)

    def influence(self, counter: ArgminCounter) -> Floats:
        """Return how much more often each candidate wins with a record inside, summed over the draws: (k, N).

        Compared with the winner when nothing is known of the record, or in the pool game with the record outside.
        """
        shifts = counter.shifts
        sums = self.counts @ shifts.T
        if not len(self.copies):
            inside = counter.count(sums)
            return np.asarray(inside - inside.mean(1, keepdims=True))
        member = self.counts / np.maximum(self.copies, 1)  # the share of a record's copies that are members
        winners = sums.argmin(1)
        joined = counter.count(sums - shifts[:, self.leaving].T, 1 - member)
        left = counter.removal.count(sums + shifts[:, self.joining].T, member)
        stays, stays_out = (as_they_are(winners, len(shifts), shifts.shape[1], w) for w in (member, 1 - member))
        return np.asarray(stays + joined - stays_out - left)


def stand_ins(records: int, pool: int) -> Ints:
    """Return how many records of a pool each of the given ones stands for, as evenly as can be, (N,).

    Records are in an order of their own (`sorted_set`): spreading the odd ones evenly takes a cross-section.

    Examples
    --------
    >>> stand_ins(4, 6).tolist(), stand_ins(4, 2).tolist()
    ([1, 2, 1, 2], [0, 1, 0, 1])
    """
    return np.diff(np.arange(records + 1) * pool // records)


def with_replacement(records: int, n: int, draws: int, rng: np.random.Generator) -> Floats:
    """How often each of equally likely records is among `n` drawn with replacement, (draws, N)."""
    if n > 10 * records:  # the same law; one binomial a record is then faster than one number a draw
        return rng.multinomial(n, np.full(records, 1 / records), size=draws).astype(np.float64)
    return _tally(rng.integers(records, size=(draws, n)), records)


def _tally(rows: Ints, records: int) -> Floats:
    """How often each record occurs in each row, (t, N)."""
    flat = rows + np.arange(len(rows))[:, None] * records
    return np.bincount(flat.ravel(), minlength=len(rows) * records).reshape(-1, records).astype(np.float64)


def weights_of(records: int, game: MemberSampling) -> Floats:
    """Return the share of P, or of the pool, that each record stands for, (N,)."""
    if not game.pool:
        return np.full(records, 1 / records)
    return np.asarray(stand_ins(records, game.pool) / game.pool)


def differences(counter: ArgminCounter, game: MemberSampling, draws: int, rng: np.random.Generator) -> Floats:
    """Return the mean of `SampledSets.influence` over `draws` training sets, (k, N), some of them at a time."""
    k, records = counter.shifts.shape
    rows = max(1, min(2000, BLOCK // max(k, records, game.pool, min(game.n, 10 * records))))
    total: Floats = np.zeros((k, records))
    for start in range(0, draws, rows):
        total += SampledSets.sets(records, game, min(rows, draws - start), rng).influence(counter)
    return total / draws


class Normal:
    """The normal law in place of the drawn sums, with records weighted.

    Z (t, k) are standard normal draws, used with either sign and for every weighting.
    """

    def __init__(self, counter: ArgminCounter, game: MemberSampling, Z: Floats) -> None:
        self._counter, self._game, self._Z = counter, game, Z

    def differences(self, w: Floats) -> Floats:
        """Return how much more often each candidate wins with a record inside, (k, N), if records weigh w (N,)."""
        A, n, pool = self._counter.shifts, self._game.n, self._game.pool
        mean = A @ w
        centred = A - mean[:, None]
        noise = self._Z @ _root((centred * w) @ centred.T * (len(w) / (len(w) - 1)))
        if not pool:
            sums = _both_signs((n - 1) * mean, np.sqrt(n - 1) * noise)
            share = np.asarray(self._counter.count(sums) / len(sums))
            return share - (share @ w)[:, None]
        # Drawing a known record in pushes its own excess in and draws everyone else's share out; and conversely.
        sums = _both_signs(n * mean, np.sqrt(n * (1 - n / pool)) * noise)
        enters, leaves = (pool / (pool - 1) * share for share in (1 - n / pool, n / pool))
        inside = np.asarray(self._counter.count((sums - enters * mean) / enters))
        outside = self._counter.removal.count((sums + leaves * mean) / leaves)
        return np.asarray((inside - outside) / len(sums))

    def leak(self, w: Floats) -> float:
        """Return mean_z 1/2 sum_k |differences|, the plug-in."""
        return 0.5 * float(np.abs(self.differences(w)).sum(0) @ w)


def _both_signs(mean: Floats, noise: Floats) -> Floats:
    return np.concatenate([mean + noise, mean - noise])


def _root(covariance: Floats) -> Floats:
    """Symmetric square root; continuous in the covariance, so that common draws stay common between weightings."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)
