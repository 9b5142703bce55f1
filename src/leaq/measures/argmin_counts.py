"""Which candidate a learner picks, and how much one record sways it: counting shared by estimator and reference.

A learner that minimises the summed loss picks ``argmin_k G_k + A_k(z)``, where G is what the other records add up to
and A(z) what one record adds. The same G is used for every record (common random numbers), so that what differs
between two records is their own doing and not the draw's.

Losses are put on a grid once, so that sums of them are exact in float64 in any order: two candidates whose sums tie
on paper tie here, and then the first wins, in the reference and in the estimator alike.
"""

import math
from collections.abc import Iterator
from functools import cached_property

import numpy as np

from leaq.errors import InvalidInput
from leaq.types import Floats, Ints

BLOCK = 2**18
"""Numbers held at once while pairs of candidates are compared: about what a processor keeps close."""


class ArgminCounter:
    """Counts which candidate wins with one more record, on a grid that makes sums exact and ties visible.

    Attributes
    ----------
    shifts : (k, n) what each record adds to each candidate's sum, in whole numbers of `unit`.
    unit : the grid in units of the loss: the largest shift over 2^29 or finer, up to 4 million `terms`.
    terms : how many shifts may be added up exactly.

    Examples
    --------
    >>> counter = ArgminCounter(np.array([[0.0, 2.0], [0.0, 0.0]]))
    >>> counter.count(np.array([[0.0, 1.0], [0.0, 3.0]]) / counter.unit).tolist()
    [[2.0, 1.0], [0.0, 1.0]]
    """

    def __init__(self, shifts: Floats, *, terms: int = 1) -> None:
        """Prepare shifts (k, n); sums of up to `terms` of them stay exact."""
        self.terms = terms
        index_bits = max(1, math.ceil(math.log2(max(2, len(shifts)))))
        bits = 52 - max(math.ceil(math.log2(terms + 1)), index_bits + 3)
        # A power of two, so that numbers which are whole multiples of one (counts, halves, 0-1 losses) stay exact.
        self.unit = 2.0 ** (math.frexp(float(np.abs(shifts).max(initial=0)) or 1.0)[1] - bits)
        self.shifts: Floats = np.ascontiguousarray(np.rint(shifts / self.unit))
        # A candidate's number rides along in the lowest bits: no two values tie, and on paper's ties the first is less.
        self._places = 2**index_bits
        self._packed: Floats = self.shifts * self._places
        self._rough = self._packed.astype(np.float32)
        self._room = 4 * float(np.finfo(np.float32).eps) * float(np.abs(self._packed).max(initial=0))
        self._ranges: dict[int, tuple[Floats, Floats]] = {}

    @cached_property
    def removal(self) -> "ArgminCounter":
        """The counter in which a record leaves instead of joining."""
        return ArgminCounter(-self.shifts * self.unit, terms=self.terms)

    def count(self, sums: Floats, weights: Floats | None = None) -> Floats:
        """Count for every candidate and record how many draws the candidate wins: (t, k) -> (k, n).

        Per draw only candidates are compared that can win: k cannot where the record that favours it most still
        leaves it behind what another candidate reaches on every record. That changes no count.

        Parameters
        ----------
        sums : what the other records add up to, in units of `unit`; rounded to the grid.
        weights : (t, n) how much a draw counts for a record; 1 by default.
        """
        k, n = self.shifts.shape
        if sums.ndim != 2 or sums.shape[1] != k:
            raise InvalidInput(f"ArgminCounter.count: sums must have shape (draws, {k}). Found {sums.shape}.")
        sums = np.rint(sums)
        base = (sums + self.shifts.mean(1)).argmin(1)
        order = np.argsort(base, kind="stable")  # draws that compare the same rows come together
        sums, base, weights = sums[order], base[order], None if weights is None else weights[order]
        ahead = (sums - np.take_along_axis(sums, base[:, None], 1)) * self._places + (np.arange(k) - base[:, None])
        counts = as_they_are(base, k, n, weights)
        moved = [self._moved(ahead, base, *pairs) for pairs in self._pairs(ahead, base)]
        if moved:
            t, z, winner = (np.concatenate(parts) for parts in zip(*moved, strict=True))
            share = None if weights is None else weights[t, z]
            counts += np.bincount(winner * n + z, share, minlength=k * n).reshape(k, n)
            counts -= np.bincount(base[t] * n + z, share, minlength=k * n).reshape(k, n)
        return counts

    def _range(self, base: Ints) -> tuple[Floats, Floats]:
        """Return the least and the most that any record adds to a candidate relative to the base, (t, k) each."""
        found, where = np.unique(base, return_inverse=True)
        for b in found:
            if int(b) not in self._ranges:
                relative = self._packed - self._packed[b]
                self._ranges[int(b)] = (relative.min(1), relative.max(1))
        lows, highs = (np.stack([self._ranges[int(b)][i] for b in found]) for i in range(2))
        return lows[where], highs[where]

    def _pairs(self, ahead: Floats, base: Ints) -> Iterator[tuple[Ints, Ints]]:
        """Draws and challengers that could take a record from the draw's base, whole draws at a time."""
        if not len(base):
            return
        low, high = self._range(base)
        ceiling = (ahead + high).min(1, keepdims=True)  # some candidate is at most here, whichever the record
        able = ahead + low <= ceiling
        able[np.arange(len(base)), base] = False
        t, j = np.nonzero(able)
        ends = np.cumsum(able.sum(1))
        most, start = max(1, BLOCK // self.shifts.shape[1]), 0
        while start < len(t):
            first = int(np.searchsorted(ends, start, side="right"))
            last = int(np.searchsorted(ends, start + most, side="right"))
            stop = int(ends[max(first, last - 1)])
            yield t[start:stop], j[start:stop]
            start = stop

    def _moved(self, ahead: Floats, base: Ints, t: Ints, j: Ints) -> tuple[Ints, Ints, Ints]:
        """Return the draws and records whose winner is not the base, and that winner."""
        n = self.shifts.shape[1]
        lead = ahead[t, j]
        # Few records move: they are found in single precision with room for its rounding, then compared exactly.
        rough = self._rough[j]
        rough -= self._rough[base[t]]
        found = np.flatnonzero(rough < (self._room - lead).astype(np.float32)[:, None])
        pair = found // n
        z = found - pair * n
        value = self._packed[j[pair], z] - self._packed[base[t[pair]], z] + lead[pair]
        cell = (t[pair] - t[0]) * n + z
        smallest = np.zeros((int(t[-1] - t[0]) + 1) * n)
        np.minimum.at(smallest, cell, value)
        best = np.flatnonzero((smallest[cell] == value) & (value < 0))  # no two values are equal
        return t[pair[best]], z[best], j[pair[best]]


def as_they_are(winners: Ints, k: int, n: int, weights: Floats | None = None) -> Floats:
    """Count winners (t,) that no record changes, for every candidate and record: (k, n)."""
    if weights is None:
        return np.repeat(np.bincount(winners, minlength=k).astype(np.float64)[:, None], n, axis=1)
    counts = np.zeros((k, n))
    for one in np.unique(winners):
        counts[one] = weights[winners == one].sum(0)
    return counts


class Bracket(tuple[float, float]):
    """(split, plug-in): two Monte-Carlo estimates of one leak, the first too low on average, the second too high."""

    __slots__ = ()

    @property
    def value(self) -> float:
        """The middle."""
        return max(0.0, (self[0] + self[1]) / 2)

    @property
    def gap(self) -> float:
        """How far the two are apart, as a share of the middle; 0 where both are 0."""
        return (self[1] - self[0]) / self.value if self.value > 0 else (0.0 if self[1] == self[0] else float("inf"))


def leak_bracket(first: Floats, second: Floats, weights: Floats | None = None) -> Bracket:
    """Return mean_z 1/2 sum_k |p_k(z) - pbar_k| from two independent halves of the draws, (k, n) shares each.

    The plug-in takes absolute values of noisy differences and is biased upwards. Taking the signs from one half and
    the values from the other removes that bias and adds one downwards. The truth lies between their means.
    """
    w = np.full(first.shape[1], 1 / first.shape[1]) if weights is None else weights
    a, b = (shares - (shares @ w)[:, None] for shares in (first, second))
    return difference_bracket(a, b, w)


def difference_bracket(a: Floats, b: Floats, w: Floats) -> Bracket:
    """Return the bracket of mean_z 1/2 sum_k |d_k(z)| from two estimates of d, (k, n) each."""
    plug_in = float(np.abs(a + b).sum(0) @ w) / 4
    split = float((np.sign(a) * b + np.sign(b) * a).sum(0) @ w) / 4
    return Bracket((min(split, plug_in), plug_in))


def leak_by_signs(differences: Floats, signs: Floats, w: Floats | None = None) -> float:
    """Return mean_z 1/2 sum_k s_k(z) d_k(z) with signs from elsewhere: linear in d, so that batches can be compared."""
    by_record = 0.5 * (signs * differences).sum(0)
    return float(by_record.mean() if w is None else by_record @ w)


def parts_of(draws: int, parts: int) -> list[int]:
    """Split draws into up to `parts` batches of about equal size."""
    return [int(size) for size in np.diff(np.linspace(0, draws, parts + 1).astype(int)) if size]


def batch_error(values: Floats, sizes: Floats) -> float:
    """Return the standard error of the mean of batches (b,) of unequal size, from how far they differ.

    The bracket does not show this error: draws shared by all records move all of them together.
    """
    if len(values) < 2:
        return 0.0
    share = sizes / sizes.sum()
    spread = (share**2 * (values - share @ values) ** 2).sum()
    return float(np.sqrt(spread * len(values) / (len(values) - 1)))
