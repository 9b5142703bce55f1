"""Cramer-Chernoff exponents: how fast the chance that a worse candidate wins decays with the training records.

    r_C,k = sup_{t >= 0} -log E exp(-t (l_k - l_1)),   P(candidate k beats candidate 1 on n records) <= exp(-n r_C,k)

Source: Cramer (1938), Chernoff (1952), Annals of Mathematical Statistics 23:493. With E over P this is a bound for
every n; with E over a sample, as here, it is an estimate of that bound.
"""

import numpy as np

from leaq.errors import InvalidInput
from leaq.types import Floats

LOG_T = (-30.0, 15.0)
"""Searched range of log t, in units of one over the largest difference. Any t gives a valid exponent."""
STEPS, CLOSE = 60, 1e-9
"""Most steps of the search, and how little log t moves when it ends."""
BLOCK = 2**22
"""Numbers held at once."""


def chernoff(difference: Floats) -> float:
    """Return r_C of one candidate from its loss differences to the best one, (n,).

    Infinite when every record prefers the best candidate; 0 when the other is as good on average.

    Examples
    --------
    >>> round(chernoff(np.array([1.0, 1.0, -1.0, 1.0])), 6)  # -log(2 sqrt(p (1 - p))) with p = 1/4
    0.143841
    """
    return float(chernoff_exponents(np.asarray(difference, dtype=np.float64)[None])[0])


def chernoff_exponents(differences: Floats) -> Floats:
    """Return r_C,k of k candidates from their loss differences to the best one, (k, n) -> (k,)."""
    return np.abs(_log_mgf(differences, tilts(differences)))


def exponents_with_doubt(differences: Floats) -> tuple[Floats, Floats, Floats]:
    """Return r_C,k and its range when one more record came: the worst and the best one on the sample's scale.

    No interval of given coverage: an exponent hangs on the rarest records, and a sample cannot tell how rare those
    are that it lacks. An infinite exponent (no record prefers the other candidate) gets a finite low end this way.
    """
    t = tilts(differences)
    value = -_log_mgf(differences, t)
    largest = np.abs(differences).max(1, initial=0)
    worse, better = np.c_[differences, -largest], np.c_[differences, largest]
    low = -_log_mgf(worse, np.where(np.isfinite(t), t, tilts(worse)))
    high = np.where(np.isfinite(t), -_log_mgf(better, np.where(np.isfinite(t), t, 0.0)), np.inf)
    return value + 0.0, np.minimum(low, value) + 0.0, np.maximum(high, value) + 0.0  # no negative zeros


def tilts(differences: Floats) -> Floats:
    """Return the t >= 0 that maximises -log mean exp(-t d) for each row, (k, n) -> (k,).

    0 where the mean is not positive, infinite where no record prefers the other candidate.
    """
    _check(differences)
    rows = max(1, BLOCK // max(1, differences.shape[1]))
    parts = [_tilts(differences[i : i + rows]) for i in range(0, len(differences), rows)]
    return np.concatenate(parts) if parts else np.empty(0)


def _check(differences: Floats) -> None:
    if differences.ndim != 2 or not differences.shape[1]:
        raise InvalidInput(
            f"loss differences must be (candidates, records) with at least one record. Found shape {differences.shape}."
        )
    bad = ~np.isfinite(differences)
    if bad.any():
        raise InvalidInput(
            f"loss differences must be finite. Found {int(bad.sum())} NaN or infinite values, first in row "
            f"{int(bad.any(1).argmax())}. Leave that candidate out or lower the learning rate."
        )


def _tilts(differences: Floats) -> Floats:
    """Find where the derivative of the convex log-moment generating function is 0: Newton's steps on log t.

    A step that leaves the bracket becomes a bisection of it.
    """
    scale = np.abs(differences).max(1)
    scale = np.where(scale > 0, scale, 1.0)
    unit = differences / scale[:, None]
    mean, square = unit.mean(1), np.einsum("kn,kn->k", unit, unit) / unit.shape[1]
    low, high = np.full(len(unit), LOG_T[0]), np.full(len(unit), LOG_T[1])
    # Of normal differences it is the mean over the variance.
    guess = np.log(np.maximum(mean, np.exp(LOG_T[0])) / np.maximum(square - mean**2, 1e-12))
    at = np.clip(guess, LOG_T[0] + 1e-9, LOG_T[1] - 1e-9)
    todo = np.flatnonzero((mean > 0) & (differences.min(1) < 0))
    for _ in range(STEPS):
        if not len(todo):
            break
        t, d = np.exp(at[todo]), unit[todo]
        exponent = -t[:, None] * d
        weights = np.exp(exponent - exponent.max(1, keepdims=True))
        weights /= weights.sum(1, keepdims=True)
        tilted = np.einsum("kn,kn->k", weights, d)  # still positive where log mean exp(-t d) decreases in t
        variance = np.einsum("kn,kn,kn->k", weights, d, d) - tilted**2
        low[todo] = np.where(tilted > 0, at[todo], low[todo])
        high[todo] = np.where(tilted > 0, high[todo], at[todo])
        with np.errstate(divide="ignore", invalid="ignore"):
            step = at[todo] + tilted / (t * variance)
        inside = (step > low[todo]) & (step < high[todo])
        after = np.where(inside, step, (low[todo] + high[todo]) / 2)
        moved = np.abs(after - at[todo])
        at[todo] = after
        todo = todo[moved > CLOSE]
    found = np.where(differences.min(1) >= 0, np.inf, np.exp(at) / scale)
    return np.asarray(np.where(differences.mean(1) <= 0, 0.0, found))


def _log_mgf(differences: Floats, t: Floats) -> Floats:
    """Return log mean exp(-t d) by row; at t = inf the logarithm of the share of records with d = 0."""
    finite = np.where(np.isfinite(t), t, 0.0)
    values = np.empty(len(differences))
    rows = max(1, BLOCK // max(1, differences.shape[1]))
    for i in range(0, len(differences), rows):
        part = slice(i, i + rows)
        exponent = -finite[part, None] * differences[part]
        top = exponent.max(1)
        values[part] = top + np.log(np.exp(exponent - top[:, None]).mean(1))
    with np.errstate(divide="ignore"):
        at_infinity = np.log((differences <= 0).mean(1))
    return np.asarray(np.minimum(np.where(np.isfinite(t), values, at_infinity), 0.0))
