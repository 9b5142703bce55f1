"""How a signal behaves in and out of training, learnt over all records at once: an empirical-Bayes likelihood ratio.

LiRA fits two Gaussians a record to a handful of shadows. Records are not strangers to each other, though: how far
training on a record moves its signal, and how much the signal varies between models, change smoothly with the signal's
own level. With level mid = (mean_in + mean_out) / 2 and shift D = mean_in - mean_out of a record over its shadows,

    D            ~ N(d, V_in / count_in + V_out / count_out)     what the shadows show
    d            ~ N(g(mid), tau^2)                              g a penalised spline, tau^2 by moments
    V_in, V_out  ~ scaled inverse chi-square around splines in mid, degrees of freedom by moments of the ratio

so that few shadows borrow from all records and many speak for themselves. The level is left free. The target's signal
is then judged by the two predictive Student t densities, which know how uncertain level, shift and variance still are.

Own method; the ingredients are Efron and Morris (1975), Journal of the American Statistical Association 70:311
(shrinkage), Smyth (2004), Statistical Applications in Genetics and Molecular Biology 3:3 (variances), Eilers and Marx
(1996), Statistical Science 11:89 (penalised splines). Shrunken variances for LiRA are also in arXiv 2603.11799.
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import BSpline
from scipy.special import gammaln

from leaq.attacks.shadows import InOut
from leaq.types import Floats

__all__ = ["EVIDENCE", "Predictive", "predictive"]

EVIDENCE = ("llr", "z_in", "z_out", "shift", "level", "narrowing")
"""Columns of `Predictive.evidence`."""
KNOTS = 10
PENALTIES = np.geomspace(1e-2, 1e4, 13)
"""Among these the smoothness is chosen by generalised cross-validation."""
EXTREME = 20.0
"""A variance curve stays within this factor of the mean variance of all records."""
LEAST, MOST = 4.2, 1e3
"""Range of the prior's degrees of freedom: below 4 its spread is not defined, above it is a fixed curve."""


@dataclass(frozen=True)
class Predictive:
    """What an attacker expects of each record's signal in a model that trained on it (in) or not (out), (n,) each."""

    mean_in: Floats
    mean_out: Floats
    variance_in: Floats
    variance_out: Floats
    freedom_in: Floats
    freedom_out: Floats

    def evidence(self, signal: Floats) -> Floats:
        """Return what a target's signal (n,) says of each record, (n, 6): see `EVIDENCE`.

        The log-likelihood ratio; how many standard deviations the signal lies from either mean; and of the record
        itself the shift and the level in standard deviations and the logarithm of the ratio of the two.
        """
        z_in = (signal - self.mean_in) / np.sqrt(self.variance_in)
        z_out = (signal - self.mean_out) / np.sqrt(self.variance_out)
        llr = _log_t(z_in, self.variance_in, self.freedom_in) - _log_t(z_out, self.variance_out, self.freedom_out)
        shift = (self.mean_in - self.mean_out) / np.sqrt((self.variance_in + self.variance_out) / 2)
        narrowing = np.log(self.variance_in / self.variance_out) / 2
        return np.stack([llr, z_in, z_out, shift, self.mean_out / np.sqrt(self.variance_out), narrowing], axis=1)

    def log_ratio(self, signal: Floats) -> Floats:
        """Return the log-likelihood ratio of a target's signal (n,), in against out, (n,)."""
        return np.asarray(self.evidence(signal)[:, 0])


def predictive(known: InOut) -> Predictive:
    """Fit the hierarchy to the statistics of a target's shadows.

    Examples
    --------
    >>> import numpy as np
    >>> from leaq.attacks.shadows import Shadows
    >>> rng = np.random.default_rng(0)
    >>> members = rng.random((16, 300)) < 0.5
    >>> signals = rng.normal(size=(16, 300)) + 2 * members
    >>> found = predictive(Shadows(signals, members).of(0, attack="example"))
    >>> bool(np.abs(found.mean_in - found.mean_out - 2).max() < 0.5)
    True
    """
    level, shift = (known.mean_in + known.mean_out) / 2, known.mean_in - known.mean_out
    basis = spline_basis(level)
    count_in, count_out = known.count_in.astype(np.float64), known.count_out.astype(np.float64)
    variance_in, freedom_in = _variances(known.square_in, count_in - 1, basis)
    variance_out, freedom_out = _variances(known.square_out, count_out - 1, basis)
    noise_in, noise_out = variance_in / count_in, variance_out / count_out
    noise = noise_in + noise_out
    curve = smoothed(basis, shift, 1 / noise)
    weight = 1 / noise**2
    own = max(0.0, float((weight * ((shift - curve) ** 2 - noise)).sum() / weight.sum()))
    spread = np.maximum(own, 1e-9 * noise)
    # Two independent views of either mean: its own shadows, and the other side's moved by what records like it move.
    mean_in, doubt_in = _pooled(known.mean_in, noise_in, known.mean_out + curve, noise_out + spread)
    mean_out, doubt_out = _pooled(known.mean_out, noise_out, known.mean_in - curve, noise_in + spread)
    return Predictive(
        mean_in, mean_out, variance_in + doubt_in, variance_out + doubt_out, freedom_in, freedom_out
    )  # fmt: skip


def spline_basis(at: Floats) -> Floats:
    """Return cubic B-splines over the quantiles of `at`, (n, b): one constant column where all values are equal."""
    low, high = float(at.min()), float(at.max())
    if not high > low:
        return np.ones((len(at), 1))
    inner = np.unique(np.quantile(at, np.linspace(0, 1, KNOTS)[1:-1]))
    inner = inner[(inner > low) & (inner < high)]
    knots = np.r_[[low] * 4, inner, [high] * 4]
    return np.asarray(BSpline.design_matrix(at, knots, 3).toarray())


def smoothed(basis: Floats, values: Floats, weights: Floats) -> Floats:
    """Return the penalised weighted fit of `values` (n,) on `basis` (n, b), its smoothness cross-validated.

    Penalty: squared second differences of neighbouring coefficients.
    """
    weights = weights / weights.mean()
    size = basis.shape[1]
    gram = basis.T @ (weights[:, None] * basis)
    gram[np.diag_indices(size)] += 1e-9 * np.trace(gram) / size  # an empty stretch of the axis has no weight
    right = basis.T @ (weights * values)
    second = np.diff(np.eye(size), 2, axis=0)
    solved = np.linalg.solve(gram + PENALTIES[:, None, None] * (second.T @ second), np.c_[right, gram])
    coefficients, hat = solved[:, :, 0], solved[:, :, 1:]
    rest = weights @ values**2 - 2 * coefficients @ right + np.einsum("pi,ij,pj->p", coefficients, gram, coefficients)
    used = np.minimum(np.trace(hat, axis1=1, axis2=2) / len(values), 1 - 1e-6)
    best = int(np.argmin(np.maximum(rest, 0.0) / (1 - used) ** 2))
    return np.asarray(basis @ coefficients[best])


def _variances(squares: Floats, freedom: Floats, basis: Floats) -> tuple[Floats, Floats]:
    """Return each record's variance, shrunk towards the curve of records like it, and its degrees of freedom, (n,)."""
    total = float(freedom.sum())
    typical = max(float(squares.sum()) / max(total, 1.0), 1e-24)
    seen = freedom > 0
    ratio = np.where(seen, squares / np.maximum(freedom, 1.0) / typical, 1.0)
    curve = typical * np.clip(smoothed(basis, ratio, np.maximum(freedom, 1e-9)), 1 / EXTREME, EXTREME)
    if not seen.any():
        return curve, np.full(len(curve), LEAST)
    relative, weight = (ratio * typical / curve)[seen], freedom[seen]
    beyond_chance = float(np.average((relative - 1) ** 2 - 2 / weight, weights=weight))
    scale = float(np.average(1 + 2 / weight, weights=weight))
    prior = float(np.clip(4 + 2 * scale / max(beyond_chance, 1e-12), LEAST, MOST))
    return (prior * curve + squares) / (prior + freedom), prior + freedom


def _pooled(first: Floats, noise_first: Floats, second: Floats, noise_second: Floats) -> tuple[Floats, Floats]:
    """Return the precision-weighted mean of two independent views, and its variance."""
    variance = 1 / (1 / noise_first + 1 / noise_second)
    return variance * (first / noise_first + second / noise_second), variance


def _log_t(z: Floats, variance: Floats, freedom: Floats) -> Floats:
    """Log density of Student's t with a scale, at z standard deviations from its centre."""
    constant = gammaln((freedom + 1) / 2) - gammaln(freedom / 2) - np.log(freedom * variance) / 2
    return np.asarray(constant - (freedom + 1) / 2 * np.log1p(z**2 / freedom))
