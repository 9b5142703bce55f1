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

from dataclasses import dataclass, fields
from functools import cached_property
from types import EllipsisType

import numpy as np

from leaq.attacks.shadows import InOut
from leaq.lazy import special
from leaq.types import Floats, Ints

EVIDENCE = ("llr", "z_in", "z_out", "shift", "level", "narrowing")
"""Columns of `Predictive.evidence`."""
OF_THE_RECORD = 3
"""From which column on no signal of the target enters."""
KNOTS = 10
DEGREE = 3
PENALTIES = np.geomspace(1e-2, 1e4, 13)
"""Among these the smoothness is chosen by generalised cross-validation."""
EXTREME = 20.0
"""A variance curve stays within this factor of the mean variance of all records."""
ROWS = 2**18
"""Record-target pairs that are fitted at once: each holds a dozen splines."""
LEAST, MOST = 4.2, 1e3
"""Range of the prior's degrees of freedom: below 4 its spread is not defined, above it is a fixed curve."""


@dataclass(frozen=True)
class Predictive:
    """What an attacker expects of each record's signal in a model that trained on it (in) or not (out).

    (n,) each, or (..., n) of several targets and signals.
    """

    mean_in: Floats
    mean_out: Floats
    variance_in: Floats
    variance_out: Floats
    freedom_in: Floats
    freedom_out: Floats

    @cached_property
    def _constants(self) -> tuple[Floats, Floats]:
        """What the logarithms of the densities hold beside the signal."""
        return _log_t_constant(self.variance_in, self.freedom_in), _log_t_constant(self.variance_out, self.freedom_out)

    @cached_property
    def _of_the_record(self) -> Floats:
        """Return the columns of evidence that no signal enters: shift, level and narrowing, (..., n, 3)."""
        shift = (self.mean_in - self.mean_out) / np.sqrt((self.variance_in + self.variance_out) / 2)
        narrowing = np.log(self.variance_in / self.variance_out) / 2
        return np.stack([shift, self.mean_out / np.sqrt(self.variance_out), narrowing], axis=-1)

    def evidence(self, signal: Floats, rows: Ints | EllipsisType = ...) -> Floats:
        """Return what a target's signal (..., n) says of each record, (..., n, 6): see `EVIDENCE`.

        The log-likelihood ratio; how many standard deviations the signal lies from either mean; and of the record
        itself the shift and the level in standard deviations and the logarithm of the ratio of the two.

        Parameters
        ----------
        rows : (k,) by whose expectation each of k signals is judged; several may be judged by one.
        """
        found = np.empty((*signal.shape, len(EVIDENCE)))
        found[..., 0], found[..., 1], found[..., 2] = self.judged(signal, signal, rows)
        found[..., OF_THE_RECORD:] = self._of_the_record[rows]
        return found

    def log_ratio(self, signal: Floats) -> Floats:
        """Return the log-likelihood ratio of a target's signal (..., n), in against out, (..., n)."""
        return self.judged(signal, signal)[0]

    def judged(self, inside: Floats, outside: Floats, rows: Ints | EllipsisType = ...) -> tuple[Floats, Floats, Floats]:
        """Return the log-likelihood ratio, and the standard deviations from either mean, (..., n) each.

        Parameters
        ----------
        inside, outside : (..., n) the signal as it is to be read if the target trained on a record, and if it did not.
        """
        sides = (
            (inside, self.mean_in, self.variance_in, self.freedom_in, self._constants[0]),
            (outside, self.mean_out, self.variance_out, self.freedom_out, self._constants[1]),
        )
        z, densities = [], []
        for signal, mean, variance, freedom, constant in sides:
            z.append((signal - mean[rows]) / np.sqrt(variance)[rows])
            own = freedom[rows]
            densities.append(constant[rows] - (own + 1) / 2 * np.log1p(z[-1] ** 2 / own))
        return np.asarray(densities[0] - densities[1]), z[0], z[1]

    def of(self, row: int | slice) -> "Predictive":
        """Return what is expected of one of several targets, or of some."""
        return Predictive(*(getattr(self, one.name)[row] for one in fields(self)))


def predictive(known: InOut, *, freedom: tuple[Ints, Ints] | None = None) -> Predictive:
    """Fit the hierarchy to the statistics of a target's shadows, (n,), or of several targets', (t, n).

    Parameters
    ----------
    known : means, squares and numbers of shadows in and out.
    freedom : degrees of freedom of the squares in and out, where they are of other models than the means.

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
    if known.mean_in.ndim == 1:
        alone = InOut(*(getattr(known, one.name)[None] for one in fields(known)))
        return predictive(alone).of(0)
    inside, outside = freedom or (known.count_in - 1, known.count_out - 1)
    rows = max(1, ROWS // known.mean_in.shape[1])
    starts = [slice(i, i + rows) for i in range(0, len(known.mean_in), rows)]
    parts = [_predictive(known.of(part), (inside[part], outside[part])) for part in starts]
    if len(parts) == 1:
        return parts[0]
    return Predictive(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Predictive)))


def _predictive(known: InOut, freedom: tuple[Ints, Ints]) -> Predictive:
    level, shift = (known.mean_in + known.mean_out) / 2, known.mean_in - known.mean_out
    splines = Splines(level)
    count_in, count_out = known.count_in.astype(np.float64), known.count_out.astype(np.float64)
    variance_in, freedom_in = _variances(known.square_in, freedom[0].astype(np.float64), splines)
    variance_out, freedom_out = _variances(known.square_out, freedom[1].astype(np.float64), splines)
    noise_in, noise_out = variance_in / count_in, variance_out / count_out
    noise = noise_in + noise_out
    curve = splines.smoothed(shift, 1 / noise)
    weight = 1 / noise**2
    beyond = (weight * ((shift - curve) ** 2 - noise)).sum(1, keepdims=True) / weight.sum(1, keepdims=True)
    spread = np.maximum(np.maximum(0.0, beyond), 1e-9 * noise)
    # Two independent views of either mean: its own shadows, and the other side's moved by what records like it move.
    mean_in, doubt_in = _pooled(known.mean_in, noise_in, known.mean_out + curve, noise_out + spread)
    mean_out, doubt_out = _pooled(known.mean_out, noise_out, known.mean_in - curve, noise_in + spread)
    return Predictive(
        mean_in, mean_out, variance_in + doubt_in, variance_out + doubt_out, freedom_in, freedom_out
    )  # fmt: skip


class Splines:
    """Cubic B-splines over the quantiles of each row's values (t, n): a constant where all of a row are equal.

    Penalty of a fit: squared second differences of neighbouring coefficients.
    """

    def __init__(self, at: Floats) -> None:
        self._shape = at.shape
        self._bases: list[tuple[Ints, Floats]] = []  # rows, and (rows, n, b) of those with as many splines
        knots = knots_of(at)
        for size in sorted({len(one) for one in knots}):
            rows = np.array([row for row, one in enumerate(knots) if len(one) == size])
            if size:
                self._bases.append((rows, spline_basis(at[rows], np.stack([knots[row] for row in rows]))))
            else:
                self._bases.append((rows, np.ones((len(rows), at.shape[1], 1))))

    def smoothed(self, values: Floats, weights: Floats) -> Floats:
        """Return the penalised weighted fit of each row of `values` (t, n), its smoothness cross-validated."""
        found = np.empty(self._shape)
        for rows, basis in self._bases:
            found[rows] = smoothed(basis, values[rows], weights[rows])
        return found


def knots_of(at: Floats) -> list[Floats]:
    """Return the knots of each row's splines, (b + 4,) each; none where all of its values (t, n) are equal."""
    ordered, place = np.sort(at, axis=1), np.linspace(0, at.shape[1] - 1, KNOTS)[1:-1]
    below = place.astype(int)
    quantiles, above = ordered[:, below], ordered[:, np.minimum(below + 1, at.shape[1] - 1)]
    quantiles += (above - quantiles) * (place - below)
    lowest, highest, found = ordered[:, 0], ordered[:, -1], list[Floats]()
    rising = (np.diff(np.c_[lowest, quantiles, highest], axis=1) > 0).all(1)  # mostly, and then all of them are knots
    for low, high, row, apart in zip(lowest, highest, quantiles, rising, strict=True):
        inner = row if apart else np.unique(row[(row > low) & (row < high)])
        ends = DEGREE + 1 if high > low else 0
        found.append(np.concatenate([np.full(ends, low), inner, np.full(ends, high)]))
    return found


def spline_basis(at: Floats, knots: Floats) -> Floats:
    """Return cubic B-splines of each row, (t, n, b), by the recursion of de Boor: at most four are not 0 at a point.

    Parameters
    ----------
    at : (t, n).
    knots : (t, b + 4), the first and the last four times.
    """
    size = knots.shape[1] - DEGREE - 1
    # The interval each point lies in; the last one holds its right end.
    interval = np.full(at.shape, DEGREE, np.int8)
    for inner in knots[:, DEGREE + 1 : size].T:
        interval += at >= inner[:, None]
    here = interval + knots.shape[1] * np.arange(len(at))[:, None]
    near = [np.take(knots, here + step) for step in range(1 - DEGREE, DEGREE + 1)]  # from two knots below each point
    behind, ahead = [at - one for one in near[:DEGREE]], [one - at for one in near[DEGREE:]]
    local = [np.ones(at.shape)]
    for degree in range(1, DEGREE + 1):
        saved, above = np.zeros(at.shape), []
        for j in range(degree):
            part = local[j] / (near[DEGREE + j] - near[DEGREE + j - degree])
            above.append(saved + ahead[j] * part)
            saved = behind[DEGREE + j - degree] * part
        local = [*above, saved]
    basis = np.zeros(at.size * size)
    first = interval - DEGREE + size * np.arange(at.size).reshape(at.shape)
    for step, values in enumerate(local):
        basis[first + step] = values
    return basis.reshape(*at.shape, size)


def smoothed(basis: Floats, values: Floats, weights: Floats) -> Floats:
    """Return the penalised weighted fits of `values` (t, n) on `basis` (t, n, b).

    For every smoothness at once: in coordinates in which both the Gram matrix and the penalty are diagonal, the sum of
    the two being 1 (simultaneous diagonalisation: Golub and Van Loan, Matrix Computations, section 8.7).
    """
    weights = weights / weights.mean(1, keepdims=True)
    size = basis.shape[2]
    weighted = weights[:, :, None] * basis
    gram = basis.transpose(0, 2, 1) @ weighted  # (t, b, b)
    diagonal = np.arange(size)
    empty = 1e-9 * np.trace(gram, axis1=1, axis2=2) / size  # an empty stretch of the axis has no weight
    gram[:, diagonal, diagonal] += empty[:, None]
    second = np.diff(np.eye(size), 2, axis=0)
    root = np.linalg.inv(np.linalg.cholesky(gram + second.T @ second))
    bent = second @ root.transpose(0, 2, 1)
    share, axes = np.linalg.eigh(bent.transpose(0, 2, 1) @ bent)  # of the penalty in each coordinate, (t, b)
    share = np.clip(share, 0.0, 1.0)
    back = root.transpose(0, 2, 1) @ axes  # (t, b, b) from these coordinates to those of the splines
    right = (values[:, None] @ weighted @ back)[:, 0]  # (t, b)
    kept = (1 - share)[:, None]
    shrunk = kept + PENALTIES[:, None] * share[:, None]  # (t, p, b)
    used = np.minimum((kept / shrunk).sum(2) / values.shape[1], 1 - 1e-6)
    rest = (weights * values**2).sum(1)[:, None] + ((kept / shrunk - 2) * right[:, None] ** 2 / shrunk).sum(2)
    best = np.argmin(np.maximum(rest, 0.0) / (1 - used) ** 2, axis=1)
    coefficients = back @ (right / shrunk[np.arange(len(basis)), best])[:, :, None]
    return np.asarray((basis @ coefficients)[:, :, 0])


def _variances(squares: Floats, freedom: Floats, splines: Splines) -> tuple[Floats, Floats]:
    """Return each record's variance, shrunk towards the curve of records like it, and its degrees of freedom, (t, n).

    A record with no degree of freedom of its own is given what records like it have.
    """
    total = freedom.sum(1, keepdims=True)
    typical = np.maximum(squares.sum(1, keepdims=True) / np.maximum(total, 1.0), 1e-24)
    seen = freedom > 0
    ratio = np.where(seen, squares / np.maximum(freedom, 1.0) / typical, 1.0)
    curve = typical * np.clip(splines.smoothed(ratio, np.maximum(freedom, 1e-9)), 1 / EXTREME, EXTREME)
    weight, safe = np.where(seen, freedom, 0.0), np.maximum(freedom, 1.0)
    whole = np.maximum(weight.sum(1, keepdims=True), 1.0)
    relative = ratio * typical / curve
    beyond_chance = (((relative - 1) ** 2 - 2 / safe) * weight).sum(1, keepdims=True) / whole
    scale = ((1 + 2 / safe) * weight).sum(1, keepdims=True) / whole
    prior = np.clip(4 + 2 * scale / np.maximum(beyond_chance, 1e-12), LEAST, MOST)
    prior = np.where(seen.any(1, keepdims=True), prior, LEAST)
    return (prior * curve + np.where(seen, squares, 0.0)) / (prior + weight), prior + weight


def _pooled(first: Floats, noise_first: Floats, second: Floats, noise_second: Floats) -> tuple[Floats, Floats]:
    """Return the precision-weighted mean of two independent views, and its variance."""
    variance = 1 / (1 / noise_first + 1 / noise_second)
    return variance * (first / noise_first + second / noise_second), variance


def _log_t_constant(variance: Floats, freedom: Floats) -> Floats:
    """Return what the log density of Student's t with a scale is at its centre."""
    return np.asarray(
        special.gammaln((freedom + 1) / 2) - special.gammaln(freedom / 2) - np.log(freedom * variance) / 2
    )
