"""Values far outside all others: found by the spread of the middle of a column, and limited to it.

Models standardise their inputs. A column that hardly varies but for one record becomes thousands of standard
deviations wide where that is done by the members and the record is none, and every prediction for it is absurd; where
it is done by the whole pool, the column tells nothing else any more. Limits are set by all records of the pool alike,
without a look at labels or membership, so that they tell nobody apart. (Winsorising; Tukey, "The Future of Data
Analysis", Ann. Math. Statist. 33 (1962) 1.)
"""

import numpy as np

from leaq.errors import counted
from leaq.types import Bools, Flag, Floats, Ints

ENDS = 10
"""Records at each end of a column (at least; else 1 %) that do not count for its middle. Fewer than this might all be
non-members of one model."""
REACH = 10.0
"""Widths of the middle by which a value may lie outside it."""
MOST = 0.5
"""Share of its columns outside which a record is a stranger to all others."""
FARTHEST = 5.0
"""Times the median record's distance from the middle at which an embedding may lie."""
ABSURD = 100.0
"""Widths of the middle of a regression target outside which a value is taken for an error."""
NINES = frozenset(float("9" * digits) for digits in range(1, 16))
"""Whole numbers written in nines alone."""
STEPS = 20.0
"""The same, in units as they are, for a column whose middle does not vary: models leave its scale alone."""


def limits(values: Floats, reach: float = REACH) -> tuple[Floats, Floats]:
    """Return the lowest and highest value (d,) of each column (n, d) that is not far outside its middle.

    Examples
    --------
    >>> column = np.r_[np.arange(100.0), 1e9][:, None]
    >>> [float(end[0]) for end in limits(column)]
    [-790.0, 890.0]
    """
    low, high = _ends(values)
    with np.errstate(over="ignore"):
        width = np.where(high > low, reach * (high - low), STEPS)
    return low - width, high + width


def far(values: Floats, reach: float = REACH) -> Bools:
    """Tell which values (n, d) lie far outside the middle of their column."""
    low, high = limits(values, reach)
    return np.asarray((values < low) | (values > high))


def limited(values: Floats) -> tuple[Floats, Bools]:
    """Return the values (n, d) with those far outside moved to the limit of their column, and which they were."""
    low, high = limits(values)
    outside = np.asarray((values < low) | (values > high))
    return (np.clip(values, low, high).astype(values.dtype) if outside.any() else values), outside


def clipped(values: Floats) -> tuple[Floats, Bools]:
    """Return embeddings (n, d) with those far from all others clipped along their line, and which they were (n,).

    The distance from the middle is the root of the mean square over columns, each in widths of its middle; those whose
    middle does not vary are left out. The limit is `FARTHEST` times the median distance of all records of the pool.

    Examples
    --------
    >>> cloud = np.random.default_rng(0).normal(size=(200, 4))
    >>> cloud[7] = 1e4
    >>> found, moved = clipped(cloud)
    >>> np.flatnonzero(moved).tolist(), bool(np.abs(found[7]).max() < 50)
    ([7], True)
    """
    exact = values.astype(np.float64)
    (low, high), middle = _ends(exact), np.median(exact, axis=0)
    varies, apart = high > low, values - middle
    distance = np.sqrt(((apart[:, varies] / (high - low)[varies]) ** 2).sum(1) / max(1, varies.sum()))
    limit = FARTHEST * np.median(distance)
    outside = np.asarray((distance > limit) & (limit > 0))
    if not outside.any():
        return values, outside
    found = middle + apart * (limit / np.where(outside, distance, limit))[:, None]
    return np.where(outside[:, None], found, values).astype(values.dtype), outside


def _ends(values: Floats) -> tuple[Floats, Floats]:
    """Return the lowest and the highest value (d,) of each column's middle."""
    n = len(values)
    skip = min(max(ENDS, n // 100), (n - 1) // 4)
    ordered = np.sort(values, axis=0)
    return ordered[skip], ordered[n - 1 - skip]


def sentinel(values: Floats) -> float | None:
    """Return a column's (n,) code for a missing value, or None: a number of nines far below or above all others.

    Such a number (-999, 99, ...) is a code more often than a measurement, and is no outlier: it may stand in many
    rows. So is -1 or a negative number of nines that stands several times and is the only one below 0, beside at
    least 5 different others.

    Examples
    --------
    >>> sentinel(np.r_[np.arange(30.0), -999.0, -999.0])
    -999.0
    >>> sentinel(np.r_[np.arange(20.0, 40.0), -9.0, -9.0])
    -9.0
    >>> sentinel(np.arange(100.0)) is None
    True
    """
    for end in (float(values.min()), float(values.max())):
        if abs(end) not in NINES or len(rest := values[values != end]) == 0:
            continue
        if np.abs(rest - end).min() > 2 * (rest.max() - rest.min()) > 0:
            return end
    low = float(values.min())
    lone = low == -1 or (low < 0 and -low in NINES)
    if lone and (values == low).sum() > 1 and values[values > low].min(initial=np.inf) >= 0:
        return low if len(np.unique(values)) > 5 else None
    return None


def absurd(values: Floats) -> tuple[float | None, Ints]:
    """Return the code for missing among measurements (n,), None if there is none, and which rows (r,) are beyond them.

    Rows are those of the code, or those more than 100 widths of the middle outside it, where the middle varies: one
    such value rules every squared error.

    Examples
    --------
    >>> code, rows = absurd(np.r_[np.arange(30.0), 1e9])
    >>> code, rows.tolist()
    (None, [30])
    """
    code = sentinel(values)
    rows = np.flatnonzero(far(values[:, None], ABSURD)[:, 0] if code is None else values == code)
    ordered = np.sort(values)
    varies = code is not None or ordered[len(values) // 4] < ordered[-len(values) // 4]
    return code, rows.astype(np.int64) if varies else np.empty(0, np.int64)


def outlier_flag(outside: Bools, where: str, *, alone: bool = True) -> Flag:
    """Say how many values were limited, and why; and how many records (of rows of `outside`) lie outside in most.

    Parameters
    ----------
    alone : nothing more is done for such records; see `clipped_flag`.
    """
    strangers = int((outside.mean(1) > MOST).sum()) if alone and outside.shape[1] > 1 else 0
    more = (
        f" {strangers} of the records lie outside in most columns: predictions for them mean little, and a bad metric "
        "may be theirs alone."
    )
    return Flag(
        "limited-outliers",
        f"{counted(int(outside.sum()), 'value', 'lie')} far outside all others of the column ({where}), moved to its "
        "limit: standardised, a column would tell nothing but these, or a model predict anything for them. Codes for "
        f"missing values belong into empty cells.{more * bool(strangers)}",
    )


def clipped_flag(moved: Bools) -> Flag:
    """Say how many records were clipped, and why."""
    return Flag(
        "clipped-embeddings",
        f"{int(moved.sum())} embeddings lie more than {FARTHEST:g} times as far from the middle as half of all do and "
        "were moved to that distance along their line: a model that has not seen one may predict anything for it, and "
        "a metric be its alone.",
    )
