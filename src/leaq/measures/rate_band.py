"""The doubt about one candidate set's rate: a band that holds for all candidates at once, and a cross-fitted value."""

import numpy as np

from leaq.measures.loss_gaps import LossGaps, exponents
from leaq.types import Floats

SPLITS = 8
"""Random halvings of the records behind the cross-fitted value, each used both ways."""


def rho_of(delta: Floats, sigma: Floats) -> Floats:
    """Return delta / sigma; a worse candidate that never varies is infinitely far, an equal one at 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value = delta / sigma
    return np.asarray(np.where(sigma > 0, value, np.where(delta > 0, np.inf, np.where(delta < 0, -np.inf, 0.0))))


def band(
    ordered: Floats, found: LossGaps, *, level: float, draws: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Interval of r for one set: rho_min -+ the quantile of max_k |rho*_k - rho_k| over candidates that could decide.

    Valid whichever candidate is truly best: if it is not the first, its gap's band contains 0, and so does r's.
    rho*_k - rho_k is drawn from its normal limit by the delta method, psi = (d - delta)/sigma - rho ((d - delta)^2 /
    sigma^2 - 1)/2 per record: skewed and heavy-tailed loss differences are as they are in the sample.
    """
    rho = rho_of(found.delta, found.sigma)[1:]
    smallest = rho.min()
    if np.isinf(smallest):
        return float("inf"), float("inf")
    n = ordered.shape[1]
    # Candidates further than this from the smallest cannot decide (their own noise included, at 5 standard errors).
    near = np.flatnonzero(rho <= smallest + 10 * np.sqrt((1 + smallest**2) / n))
    near = near[found.sigma[1:][near] > 0]
    if not len(near):  # the only candidates at that distance are equally good and never vary: merged or tied
        return 0.0, 0.0
    psi = ordered[1 + near] - ordered[0]
    psi -= psi.mean(1, keepdims=True)
    psi /= found.sigma[1:][near][:, None]
    psi -= rho[near][:, None] * (psi**2 - 1) / 2  # (near, n)
    drawn = _normal(psi @ psi.T / (n - 1) ** 2, max(draws, 400), rng)  # (draws, near)
    width = float(np.quantile(np.abs(drawn).max(1), level))
    return max(smallest - width, 0.0) ** 2 / 2, max(smallest + width, 0.0) ** 2 / 2


def _normal(covariance: Floats, draws: int, rng: np.random.Generator) -> Floats:
    """Return draws (b, k) of centred normal variables with this covariance (k, k), which may be singular.

    What independent normal multipliers of the records add up to has just this law, and costs a number a record a draw.
    """
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return np.asarray(rng.standard_normal((draws, len(values))) @ (root @ vectors.T))


def cross_fitted(ordered: Floats, rng: np.random.Generator) -> float:
    """Rate with the best and the deciding candidate chosen on one half and their gap measured on the other."""
    n = ordered.shape[1]
    halves = np.stack([rng.permutation(n) < n // 2 for _ in range(SPLITS)])
    halves = np.stack([halves, ~halves], axis=1).reshape(-1, n)  # each used both ways
    centred = ordered - ordered[0]
    count = halves.sum(1)
    mean = (halves @ centred.T) / count[:, None]  # (halves, c)
    best = mean.argmin(1)
    deciding = []
    for half, b, m, size in zip(halves, best, mean, count, strict=True):
        part = centred[:, half] - centred[b, half]  # differences first: candidates may differ by very little
        gap = m - m[b]
        variance = (np.einsum("cn,cn->c", part, part) - size * gap**2) / (size - 1)
        rho = rho_of(gap, np.sqrt(np.maximum(variance, 0.0)))
        rho[b] = np.inf
        deciding.append(int(rho.argmin()))
    measured = []
    for half, b, k in zip(halves, best, deciding, strict=True):
        rest = centred[k, ~half] - centred[b, ~half]
        measured.append(float(rho_of(np.asarray(rest.mean()), np.asarray(rest.std(ddof=1)))))
    # Halves without variation give infinities of either sign, which have no mean.
    middle = np.mean(measured) if np.isfinite(measured).all() else np.quantile(measured, 0.5, method="lower")
    return float(max(middle, 0.0) ** 2 / 2)


def relative_draws(ordered: Floats, found: LossGaps, *, draws: int, rng: np.random.Generator) -> Floats:
    """Draws (draws, c - 1) of lambda_k over its largest, which is r / r_k; order of k as in the sample."""
    d = ordered[1:] - ordered[0]
    k, n = d.shape
    d -= d.mean(1, keepdims=True)
    unit = np.abs(d).max(1, keepdims=True)
    unit = np.where(unit > 0, unit, 1.0)
    d /= unit
    both = np.concatenate([d, d**2 - (d**2).mean(1, keepdims=True)])
    moved = np.concatenate([np.zeros((1, 2 * k)), _normal(both @ both.T / n**2, draws, rng)])
    delta = found.delta[1:] + moved[:, :k] * unit[:, 0]
    variance = found.sigma[1:] ** 2 + moved[:, k:] * unit[:, 0] ** 2
    r_k = exponents(delta, np.sqrt(np.maximum(variance, 0)))
    smallest = r_k.min(1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(np.isinf(r_k), 0.0, smallest / r_k)
    return np.asarray(np.where(r_k == 0, 1.0, np.nan_to_num(share)))
