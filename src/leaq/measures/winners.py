"""Which candidate a learner picks, and how much one record sways it: counting shared by estimator and reference.

A learner that minimises the summed loss picks ``argmin_k G_k + A_k(z)``, where G is what the other records add up to
and A(z) what one record adds. The same G is used for every record (common random numbers), so that what differs
between two records is their own doing and not the draw's.
"""

import numpy as np

from leaq.errors import InvalidInput
from leaq.types import Floats

__all__ = ["Bracket", "count_winners", "difference_bracket", "leak_bracket"]


def count_winners(sums: Floats, shifts: Floats) -> Floats:
    """Count for every candidate and record how many draws the candidate wins: (t, k), (k, n) -> (k, n).

    Ties go to the first candidate. Per draw only candidates that can win are looked at: k cannot when the record that
    favours it most still leaves it behind what some other candidate reaches on every record. That changes no count.

    Examples
    --------
    >>> count_winners(np.array([[0.0, 1.0], [0.0, 3.0]]), np.array([[0.0, 2.0], [0.0, 0.0]])).tolist()
    [[2.0, 1.0], [0.0, 1.0]]
    """
    if sums.ndim != 2 or shifts.ndim != 2 or sums.shape[1] != len(shifts):
        raise InvalidInput(
            f"count_winners: sums (t, k) and shifts (k, n) must share k. Found {sums.shape} and {shifts.shape}."
        )
    counts = np.zeros(shifts.shape)
    favourites = (sums + shifts.mean(1)).argmin(1)
    order = np.argsort(favourites, kind="stable")
    for draws in np.split(order, np.flatnonzero(np.diff(favourites[order])) + 1):
        favourite = int(favourites[draws[0]]) if len(draws) else 0
        ahead = sums[draws] - sums[draws, favourite][:, None]
        near = np.flatnonzero((ahead + (shifts - shifts[favourite]).min(1)).min(0, initial=np.inf) <= 0)
        near = np.union1d(near, [favourite])
        counts[near] += _count(ahead[:, near], shifts[near] - shifts[favourite])
    return counts


def _count(ahead: Floats, relative: Floats) -> Floats:
    """Count winners (k, n) over draws (t, k) that share a favourite, given relative to it."""
    k, n = relative.shape
    counts, columns, buffer = np.zeros((k, n)), np.arange(n), np.empty((k, n))
    ceiling = (ahead + relative.max(1)).min(1)  # some candidate is at most here, whichever the record
    able = ahead + relative.min(1) <= ceiling[:, None]
    size = able.sum(1)
    counts += np.bincount(able[size == 1].argmax(1), minlength=k)[:, None] if (size == 1).any() else 0
    _count_pairs(counts, ahead[size == 2], able[size == 2], relative)
    for row in np.flatnonzero(size > 2):
        active = np.flatnonzero(able[row])
        total = buffer[: len(active)]  # one buffer: fresh memory for every draw costs more than the sum
        np.take(relative, active, axis=0, out=total, mode="clip")
        total += ahead[row, active][:, None]
        counts[active[total.argmin(0)], columns] += 1
    return counts


def _count_pairs(counts: Floats, ahead: Floats, able: "np.ndarray", relative: Floats) -> None:
    """Draws with two candidates: the second wins on the records that favour it by more than it is behind."""
    if not len(ahead):
        return
    k = able.shape[1]
    first, second = able.argmax(1), k - 1 - able[:, ::-1].argmax(1)
    behind = np.take_along_axis(ahead, second[:, None], 1) - np.take_along_axis(ahead, first[:, None], 1)
    pairs = first * k + second
    for pair in np.unique(pairs):
        i, j = divmod(int(pair), k)
        sorted_behind = np.sort(behind[pairs == pair, 0])
        wins = np.searchsorted(sorted_behind, relative[i] - relative[j], side="left")  # a tie goes to the first
        counts[j] += wins
        counts[i] += len(sorted_behind) - wins


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
