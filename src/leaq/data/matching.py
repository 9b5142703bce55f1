"""Which rows of one table are rows of another, in whatever dialect and precision either was saved."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from leaq.seeds import stream
from leaq.types import Floats, Ints

SINGLE = 2.0**-23
"""Largest error of a 32-bit number, beside the number."""
COARSEST = 0.02
"""Largest rounding that tells the same number from another, beside the spread of its column."""
SURELY = 4.0
"""Standard deviations within which a sum of roundings lies: the uniform ones' are half a unit by the root of 3."""
LOOKED_AT = 4096
"""Candidates of one row that are compared at most."""


def same_rows(source: pd.DataFrame, others: pd.DataFrame) -> Ints:
    """Return which row of `source` each of the `others` is, (n,), -1 for none; no row is taken twice, the first first.

    Numbers are compared as numbers, words without the blanks around them. A row that is none exactly is one that it is
    but for rounding: to 32 bits, or to the digits that its column, or the source's, is written with.

    Parameters
    ----------
    source, others : with the same columns; numbers read as such (`leaq.data.columns.settle`).

    Examples
    --------
    >>> source = pd.DataFrame({"dose": [0.1234, 0.5678, 0.9], "land": ["DE", "FR", "FR"]})
    >>> same_rows(source, pd.DataFrame({"dose": [0.57, 0.3], "land": ["FR ", "FR"]})).tolist()
    [1, -1]
    """
    columns = [_comparable(source[name], others[name]) for name in source.columns]
    found = _equal(len(source), len(others), columns)
    left, free = np.flatnonzero(found < 0), np.setdiff1d(np.arange(len(source)), found)
    if len(left) and len(free) and columns:
        found[left] = _rounded(free, left, columns)
    return found


Column = tuple[npt.NDArray[Any], npt.NDArray[Any], Floats, Floats]
"""A column of the source's and of the others', and how far its numbers may be off by rounding (n,) each."""


def _comparable(source: "pd.Series[Any]", others: "pd.Series[Any]") -> Column:
    """Return a column of both as numbers where both hold numbers alone, else as one code a word."""
    numbers = [pd.to_numeric(column, errors="coerce") for column in (source, others)]
    if all(number.notna().equals(column.notna()) for number, column in zip(numbers, (source, others), strict=True)):
        ours, theirs = (number.to_numpy(dtype=np.float64, na_value=np.nan) + 0.0 for number in numbers)
        return ours, theirs, *_rounding(ours, theirs)
    words = pd.concat([source, others], ignore_index=True).map(lambda value: str(value).strip())
    codes = pd.factorize(words)[0].astype(np.float64)
    ours, theirs = np.split(codes, [len(source)])
    return ours, theirs, np.zeros(len(ours)), np.zeros(len(theirs))


def _equal(n: int, m: int, columns: list[Column]) -> Ints:
    frames = [pd.DataFrame({at: column[side] for at, column in enumerate(columns)}) for side in (0, 1)]
    both = pd.util.hash_pandas_object(pd.concat(frames, ignore_index=True), index=False).to_numpy()
    _, codes = np.unique(both, return_inverse=True)
    places: dict[int, list[int]] = {}
    for row in range(n - 1, -1, -1):
        places.setdefault(int(codes[row]), []).append(row)
    found = np.full(m, -1, dtype=np.int64)
    for row, code in enumerate(codes[n:].tolist()):
        if left := places.get(code):
            found[row] = left.pop()
    return found


def _rounding(ours: Floats, theirs: Floats) -> tuple[Floats, Floats]:
    """Return how far numbers may be off because one side is written with fewer digits than the other, (n,) and (m,)."""
    every = np.concatenate([ours, theirs])
    spread = 0.0
    if len(ours) and np.isfinite(every).all():  # one value in all rows tells none apart: its size stands for its spread
        spread = float(every.std() if np.ptp(ours) > 0 else np.abs(ours).max())
    units = [_last_digit(values) for values in (ours, theirs)]
    finest = [float(np.min(unit)) if len(unit) else 0.0 for unit in units]
    tolerances = []
    for values, unit, other in zip((ours, theirs), units, finest[::-1], strict=True):
        coarser = unit > 1.5 * other
        tolerances.append(np.where(coarser & (unit < COARSEST * spread), unit, 0.0) + SINGLE * np.abs(values))
    return tolerances[0], tolerances[1]


def _last_digit(values: Floats) -> Floats:
    """Return half a unit of the last digit that a column's numbers are written with, (n,), 0 for all digits there are.

    Either all have so many decimals, or so many significant digits; where both, the coarser of them.
    """
    size = np.abs(np.nan_to_num(values, posinf=0.0, neginf=0.0))
    power = np.floor(np.log10(size, out=np.zeros(len(size)), where=size > 0))
    found = np.zeros(len(values))
    for forms in ([np.full(len(values), float(d)) for d in range(7)], [digits - 1 - power for digits in range(2, 8)]):
        for places in forms:
            unit = 10.0**-places
            if (np.abs(size - np.round(size / unit) * unit) <= np.maximum(1e-9 * unit, SINGLE * size)).all():
                found = np.maximum(found, 0.5001 * unit)
                break
    return found


def _rounded(free: Ints, left: Ints, columns: list[Column]) -> Ints:
    """Return the nearest row of the source of each of the others within rounding, (len(left),), -1 for none.

    Candidates are those near it in one random direction, in which a row lies off by the rounding of all its columns.
    """
    source, others, allowed, slack = (
        np.stack([np.nan_to_num(one[side][rows], nan=-1e30, neginf=-2e30, posinf=1e30) for one in columns], axis=1)
        for side, rows in ((0, free), (1, left), (2, free), (3, left))
    )
    rounding = np.maximum(allowed.max(0), slack.max(0))
    scale = np.maximum(np.concatenate([source, others]).std(0), rounding)  # a constant column tells no two rows apart
    scale[scale == 0] = 1.0
    direction = stream(0, "matching").normal(size=len(columns)) / scale
    off = SURELY * np.sqrt(((direction * rounding) ** 2).sum())
    places = source @ direction
    order = np.argsort(places, kind="stable")
    wanted = others @ direction
    first, last = (np.searchsorted(places[order], wanted + sign * off) for sign in (-1, 1))
    taken, found = set[int](), np.full(len(left), -1, dtype=np.int64)
    for row in np.flatnonzero(last > first):
        rows = order[first[row] : min(last[row], first[row] + LOOKED_AT)]
        error = np.abs(source[rows] - others[row])
        fits = (error <= allowed[rows] + slack[row]).all(1)
        near = [int(one) for one in rows[fits][(error[fits] / scale).max(1).argsort(kind="stable")] if one not in taken]
        if near:
            found[row] = free[near[0]]
            taken.add(near[0])
    return found
