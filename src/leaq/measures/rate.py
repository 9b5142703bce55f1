"""The asymptotic rate r of membership inference security, from the losses of quantized candidates.

A quantizer makes the released model one of finitely many candidates. If the learner picks the empirical minimiser,
its leak decays as exp(-n r) with

    r = min_k delta_k^2 / (2 sigma_k^2),   delta_k = m_k - m_1,   sigma_k^2 = Var(l_k - l_1),   m_1 < m_2 <= ...

and lambda_k = (delta_2 / delta_k)^2 sigma_k^2 shows which candidate decides: it peaks at low k.

Source: Aubinais, Formont, Piantanida, Gassiat (arXiv 2502.06567; AISTATS 2026). Larger r = more private, but r
belongs to a set of candidates: compare only sets of the same number and spacing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from leaq.errors import NotEnoughEvidence
from leaq.results import Curve
from leaq.seeds import stream
from leaq.stats.intervals import percentile_interval
from leaq.stats.moments import Moments
from leaq.types import Estimate, Flag, Floats, LossTable

__all__ = ["RateResult", "chernoff", "gaps", "merge_duplicates", "order_changes", "rate", "rate_of"]


@dataclass(frozen=True)
class RateResult:
    """The rate of one quantizer's candidates, and what it rests on.

    Attributes
    ----------
    r : the rate per training record; `n_r` : r times the number of training records.
    asymptotic : exp(-n r), an asymptotic value and no bound; flagged where n r is small.
    chernoff : the Cramer-Chernoff exponent min_k r_C,k; `union_bound` : 2 sum_k exp(-n r_C,k), at most 1.
    curve : median lambda_k over models against k, with the central 95 % of models as band.
    k_max : the k at which the median lambda_k is largest; `low_k` : whether that lies in the lower half.
    candidates : distinct candidates per model (median); `halved` : r with every other candidate left out.
    """

    r: Estimate
    n_r: Estimate
    asymptotic: Estimate
    chernoff: Estimate
    union_bound: Estimate
    curve: Curve
    k_max: int
    low_k: bool
    candidates: int
    halved: Estimate
    flags: tuple[Flag, ...] = ()


def merge_duplicates(losses: Floats) -> Floats:
    """Drop candidates that are the same function as an earlier one on every record: (c, n) -> (c', n)."""
    _, first = np.unique(losses, axis=0, return_index=True)
    return losses[np.sort(first)]


def gaps(losses: Floats) -> tuple[Floats, Floats]:
    """Return delta_k and sigma_k of the candidates sorted by mean loss, the best one first: (c,), (c,)."""
    moments = Moments(len(losses))
    moments.update(losses)
    order = np.argsort(moments.mean, kind="stable")
    return _gaps(moments.mean[order], moments.covariance[np.ix_(order, order)])


def _gaps(mean: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """Gaps and spreads against candidate 0, from means and covariances (..., c), (..., c, c)."""
    delta = mean - mean[..., :1]
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    spread = variance + variance[..., :1] - 2 * covariance[..., 0, :]
    return delta, np.sqrt(np.maximum(spread, 0))


def rate_of(delta: Floats, sigma: Floats) -> float:
    """Return min_k delta_k^2 / (2 sigma_k^2) over k >= 2; infinite where a worse candidate never varies.

    Examples
    --------
    >>> float(rate_of(np.array([0.0, 0.2, 0.4]), np.array([0.0, 1.0, 1.0])))
    0.020000000000000004
    """
    return float(_exponents(delta[1:], sigma[1:]).min())


def _exponents(delta: Floats, sigma: Floats) -> Floats:
    """delta^2 / (2 sigma^2); a non-positive gap (the other candidate is as good) gives 0."""
    positive = np.maximum(delta, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = positive**2 / (2 * sigma**2)
    never_varies = np.where(positive > 0, np.inf, 0.0)
    return np.asarray(np.where(sigma > 0, values, never_varies))


def chernoff(difference: Floats) -> float:
    """Return sup_t -log mean exp(-t (l_k - l_1)) over t >= 0 for one candidate's loss differences (n,).

    Infinite when no record prefers the other candidate; 0 when it is as good on average.
    """
    if difference.mean() <= 0:
        return 0.0
    if difference.min() >= 0:
        return float("inf") if (difference > 0).all() else float(-np.log((difference == 0).mean()))
    scale = float(np.abs(difference).max())
    unit = difference / scale

    def log_mgf(log_t: float) -> float:
        x = -np.exp(log_t) * unit
        top = x.max()
        return float(top + np.log(np.mean(np.exp(x - top))))

    best = minimize_scalar(log_mgf, bounds=(-25.0, 12.0), method="bounded", options={"xatol": 1e-6})
    return float(max(0.0, -best.fun))


def rate(
    table: LossTable, *, models: Sequence[int] | None = None, level: float = 0.95, seed: int = 0, draws: int = 200
) -> RateResult:
    """Estimate the rate r of a quantizer from candidates of several models.

    Direction: larger is safer. Range: [0, inf). Interval: models are resampled, and within each model the means of
    two halves of the records are drawn from their asymptotic law: the best candidate is chosen on one half and its
    gaps are measured on the other, so that the interval reaches 0 when the order of candidates is not established.
    Do not trust when: n r is below about 3 (the exponent alone then misranks), or the candidates are checkpoints of
    an over-fitted network (no empirical minimiser); see docs/fidelity.md for measured agreement with attacks.

    Parameters
    ----------
    table : losses (s, c, n); each model's candidates are judged on the records that did not train it.
    models : which models, all by default.

    Raises
    ------
    NotEnoughEvidence
        If every candidate of every model is the same function.
    """
    chosen = range(len(table.losses)) if models is None else models
    sets = [merge_duplicates(table.held_out(model)) for model in chosen]
    usable = [losses for losses in sets if len(losses) > 1]
    if not usable:
        raise NotEnoughEvidence(
            f"r compares at least 2 distinct candidates. All {table.losses.shape[1]} candidates under "
            f"{table.quantizer} are the same function. Record more checkpoints or sample neighbours."
        )
    if min(losses.shape[1] for losses in usable) < 4:
        raise NotEnoughEvidence("r needs at least 4 held-out records a model. Bring more records.")
    rng = stream(seed, "rate-intervals")
    per_model = [_one_model(losses, draws, rng) for losses in usable]
    values = np.array([one.r for one in per_model])
    spread = _resampled_median(np.stack([one.draws for one in per_model]), rng)
    r = _estimate(float(np.median(values)), spread, len(values), level)
    flags = _doubts(table, r, usable, dropped=len(sets) - len(usable))
    curve, k_max = _lambda_curve([one.lambdas for one in per_model])
    halves = np.array([rate_of(*gaps(losses[::-2])) if len(losses) > 3 else np.nan for losses in usable])
    halved = float(np.nanmedian(halves)) if np.isfinite(halves).any() else r.value
    n = table.n_train
    r_c = np.array([one.chernoff.min() for one in per_model])
    union = np.array([min(1.0, 2 * float(np.exp(-n * one.chernoff).sum())) for one in per_model])
    count = int(np.median([len(losses) for losses in usable]))
    return RateResult(
        r=r.flagged(*flags),
        n_r=_map(r, lambda value: n * value).flagged(*flags),
        asymptotic=_map(r, lambda value: float(np.exp(-n * value))).flagged(*flags),
        chernoff=_estimate(
            float(np.median(r_c)), _resampled_median(np.tile(r_c[:, None], draws), rng), len(r_c), level
        ),
        union_bound=_estimate(
            float(np.median(union)), _resampled_median(np.tile(union[:, None], draws), rng), len(union), level
        ),
        curve=curve,
        k_max=k_max,
        low_k=k_max <= 1 + max(1, (len(curve.x) + 1) // 2),
        candidates=count,
        halved=_estimate(halved, spread * (halved / r.value if r.value > 0 else 1.0), len(values), level),
        flags=flags,
    )


@dataclass(frozen=True)
class _OneModel:
    r: float
    draws: Floats
    lambdas: Floats
    chernoff: Floats


def _one_model(losses: Floats, draws: int, rng: np.random.Generator) -> _OneModel:
    moments = Moments(len(losses))
    moments.update(losses)
    order = np.argsort(moments.mean, kind="stable")
    mean, covariance = moments.mean[order], moments.covariance[np.ix_(order, order)]
    delta, sigma = _gaps(mean, covariance)
    with np.errstate(divide="ignore", invalid="ignore"):
        lambdas = (delta[1] / delta[1:]) ** 2 * sigma[1:] ** 2
    tied = delta[1] == 0  # then every lambda_k with a positive gap is 0/..., and the tied ones carry their variance
    lambdas = np.where(np.isfinite(lambdas), lambdas, sigma[1:] ** 2 if tied else 0.0)
    ordered = losses[order]
    exponents = np.array([chernoff(other - ordered[0]) for other in ordered[1:]])
    return _OneModel(
        rate_of(delta, sigma), _drawn_rates(mean, covariance, losses.shape[1], draws=draws, rng=rng), lambdas, exponents
    )


def _drawn_rates(mean: Floats, covariance: Floats, n: int, *, draws: int, rng: np.random.Generator) -> Floats:
    """Rates (draws,) with the best candidate chosen on one half of n records and its gaps measured on the other."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0)) / np.sqrt(n / 2)  # law of the mean of n/2 records
    chosen_on = mean + rng.standard_normal((draws, len(mean))) @ root.T
    measured = mean + rng.standard_normal((draws, len(mean))) @ root.T
    best = chosen_on.argmin(1)
    variance = np.diagonal(covariance)
    sigma = np.sqrt(np.maximum(variance[None] + variance[best][:, None] - 2 * covariance[best], 0))
    delta = measured - np.take_along_axis(measured, best[:, None], 1)
    exponents = _exponents(delta, sigma)
    np.put_along_axis(exponents, best[:, None], np.inf, 1)
    return np.asarray(exponents.min(1))


def _resampled_median(draws: Floats, rng: np.random.Generator) -> Floats:
    """Median over resampled models, draw by draw: (s, b) -> (b,)."""
    s, b = draws.shape
    picked = rng.integers(s, size=(s, b))
    return np.asarray(np.median(np.take_along_axis(draws, picked, 0), axis=0))


def _lambda_curve(lambdas: list[Floats]) -> tuple[Curve, int]:
    """Median lambda_k over models (those that have a k-th candidate), its 95 % band, and the k of the maximum."""
    longest = int(np.median([len(row) for row in lambdas]))
    padded = np.full((len(lambdas), longest), np.nan)
    for i, row in enumerate(lambdas):
        padded[i, : len(row)] = row[:longest]
    # Models differ in the unit of their losses' spread: each is scaled to its own maximum before taking medians.
    padded /= np.maximum(np.nanmax(padded, axis=1, keepdims=True), 1e-300)
    low, middle, high = np.nanquantile(padded, [0.025, 0.5, 0.975], axis=0)
    ks = tuple(float(k) for k in range(2, longest + 2))
    curve = Curve(ks, tuple(middle.tolist()), tuple(low.tolist()), tuple(high.tolist()))
    return curve, int(np.argmax(middle)) + 2


def _estimate(value: float, draws: Floats, n: int, level: float) -> Estimate:
    low, high = percentile_interval(np.nan_to_num(draws, posinf=np.finfo(float).max), level=level)
    high = float("inf") if high >= np.finfo(float).max / 2 else high
    method = "median over models; models resampled, means of two halves drawn from their asymptotic law"
    return Estimate(value, min(low, value), max(high, value), n, level, "models", method)


def _map(estimate: Estimate, function: Callable[[float], float]) -> Estimate:
    """Apply a monotone function to value and interval."""
    ends = sorted((float(function(estimate.low)), float(function(estimate.high))))
    return Estimate(
        float(function(estimate.value)), ends[0], ends[1], estimate.n, estimate.level, estimate.unit, estimate.method
    )


def _doubts(table: LossTable, r: Estimate, usable: list[Floats], *, dropped: int) -> tuple[Flag, ...]:
    flags = []
    if table.n_train * r.value < 3:
        flags.append(
            Flag("n-r-small", "n r is below 3: exp(-n r) is no forecast of the leak, and r alone may misrank.")
        )
    if r.low <= 0:
        flags.append(Flag("order-unstable", "The best candidate is not established; the interval of r reaches 0."))
    if any(losses.shape[1] < len(losses) for losses in usable):
        flags.append(Flag("few-records", "Fewer held-out records than candidates; the covariance is singular."))
    if dropped:
        flags.append(Flag("same-function", f"{dropped} models had a single distinct candidate and were left out of r."))
    return tuple(flags)


def order_changes(full: Sequence[float], halved: Sequence[float]) -> float:
    """Return the share of pairs of quantizers whose order by r changes when every other candidate is left out.

    Direction: 0 means that the ranking does not depend on the number of candidates; 0.5 is no ranking at all.
    """
    a, b = np.asarray(full), np.asarray(halved)
    i, j = np.triu_indices(len(a), 1)
    with np.errstate(invalid="ignore"):
        return float(np.mean(np.sign(a[i] - a[j]) * np.sign(b[i] - b[j]) < 0)) if len(i) else 0.0
