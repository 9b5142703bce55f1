"""Which candidate a learner picks, and how much one record sways it: counting shared by estimator and reference.

A learner that minimises the summed loss picks ``argmin_k G_k + A_k(z)``, where G is what the other records add up to
and A(z) what one record adds. The same G is used for every record (common random numbers), so that what differs
between two records is their own doing and not the draw's.
"""

import numpy as np

from leaq.errors import InvalidInput
from leaq.types import Floats

__all__ = ["Bracket", "count_winners", "leak_bracket"]


def count_winners(sums: Floats, shifts: Floats) -> Floats:
    """Count for every candidate and record how many draws the candidate wins: (t, k), (k, n) -> (k, n).

    Ties go to the first candidate. Per draw only candidates that can win for some record are looked at: k cannot
    when even the record that favours it most leaves it behind the draw's favourite. That changes no count.

    Examples
    --------
    >>> count_winners(np.array([[0.0, 1.0], [0.0, 3.0]]), np.array([[0.0, 2.0], [0.0, 0.0]])).tolist()
    [[2.0, 1.0], [0.0, 1.0]]
    """
    (t, k), (k2, n) = sums.shape, shifts.shape
    if k != k2:
        raise InvalidInput(f"count_winners: sums (t, k) and shifts (k, n) must share k. Found {k} and {k2}.")
    counts = np.zeros((k, n))
    favourites = (sums + shifts.mean(1)).argmin(1)
    columns, buffer = np.arange(n), np.empty((k, n))  # one buffer: fresh memory for every draw costs more than adding
    for favourite in np.unique(favourites):
        draws = np.flatnonzero(favourites == favourite)
        relative = shifts - shifts[favourite]  # (k, n)
        ahead = sums[draws] - sums[draws, favourite][:, None]
        able = ahead + relative.min(1) <= 0
        able[:, favourite] = True
        size = able.sum(1)
        counts[favourite] += (size == 1).sum()
        _count_pairs(counts, ahead[size == 2], able[size == 2], relative, favourite=int(favourite))
        for row in np.flatnonzero(size > 2):
            active = np.flatnonzero(able[row])
            total = buffer[: len(active)]
            np.take(relative, active, axis=0, out=total, mode="clip")
            total += ahead[row, active][:, None]
            counts[active[total.argmin(0)], columns] += 1
    return counts


def _count_pairs(counts: Floats, ahead: Floats, able: "np.ndarray", relative: Floats, *, favourite: int) -> None:
    """Draws with a single rival: the rival wins on the records that favour it by more than the draw left it behind."""
    if not len(ahead):
        return
    other = able.copy()
    other[:, favourite] = False
    rivals = other.argmax(1)
    for rival in np.unique(rivals):
        behind = np.sort(ahead[rivals == rival, rival])
        # Ties go to the lower index: strictly ahead if the rival comes later, at least level if it comes first.
        side = "left" if rival > favourite else "right"
        wins = np.searchsorted(behind, -relative[rival], side=side)
        counts[rival] += wins
        counts[favourite] += len(behind) - wins


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
