"""The truth, where it can be computed: empirical risk minimisation over an enumerable codebook, and two candidates.

    leak_n = TV( law(W, z_1), law(W) x law(z_0) ) = mean_z 1/2 sum_k |P(W = k | z_1 = z) - P(W = k)|

`exact_leak` treats a finite pool as P and draws whole training sets from it, and counts. Codewords whose sums tie are
told apart by their order: lower mean loss first. `two_gaussian` and `two_gamma` have no sampling error at all.

Source of the leak: Aubinais, Gassiat, Piantanida (arXiv 2310.13786).
"""

from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.measures.argmin_counts import ArgminCounter, Bracket, batch_error, leak_bracket, leak_by_signs, parts_of
from leaq.measures.chernoff import tilts
from leaq.measures.loss_gaps import check_losses, sorted_set
from leaq.measures.resampled_sums import with_replacement
from leaq.seeds import stream
from leaq.types import Floats

BATCHES = 8
"""Parts of every round of draws, for the standard error."""
BLOCK = 2**22
"""Numbers held at once while training sets are drawn."""
NEVER = 1e-9
"""Codewords are left out if together they win with less than this probability (a bound, not an estimate)."""


@dataclass(frozen=True)
class ExactLeak:
    """The leak of one learner on one pool, with its Monte-Carlo bracket.

    Attributes
    ----------
    split, plug_in : estimates biased downwards and upwards; `value` is their middle.
    error : standard error of the Monte Carlo, from batches of draws.
    draws : training sets drawn; `codewords` : those that can win.
    """

    split: float
    plug_in: float
    error: float
    draws: int
    codewords: int

    @property
    def value(self) -> float:
        """Middle of the bracket."""
        return Bracket((self.split, self.plug_in)).value

    @property
    def gap(self) -> float:
        """Width of the bracket as a share of its middle."""
        return Bracket((self.split, self.plug_in)).gap


def exact_leak(
    losses: Floats, n: int, *, seed: int = 0, draws: int = 4000, most: int = 64000, close: float = 0.03
) -> ExactLeak:
    """Tell how much the best attacker gains who sees which codeword the empirical minimiser of n records chose.

    Direction: smaller is safer. Range: [0, 1]; the best test's TPR - FPR, in the game of independent members.
    Do not trust when `gap` is above `close`: more draws are needed.

    Parameters
    ----------
    losses : (k, N) losses of every codeword on a pool that is taken for P.
    n : number of training records, drawn from the pool with replacement.
    draws : training sets drawn at first, in each half; doubled until the bracket is narrower than `close` and the
        standard error below half of that (as shares of the leak), or `most` are drawn in all.

    Examples
    --------
    >>> losses = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.4]])
    >>> leak = exact_leak(losses, 1)  # one record tells which codeword wins: P(W = 0) = 2/3, leak 4/9
    >>> round(leak.value, 2)
    0.44
    """
    check_losses(losses)
    if n < 1:
        raise InvalidInput(f"exact_leak: n must be at least 1. Found {n}.")
    if len(losses) < 2 or (losses == losses[:1]).all():
        raise NotEnoughEvidence(
            f"exact_leak: compares at least 2 distinct codewords. All {len(losses)} are the same function."
        )
    ordered = sorted_set(losses)
    counter = ArgminCounter(_able(ordered - ordered[:1], n), terms=n)
    rng = stream(seed, "exact", n)
    counts: list[Floats] = [np.zeros(counter.shifts.shape) for _ in range(2)]
    leaks: list[float] = []
    sizes: list[int] = []
    done = 0
    while True:
        todo = done if done else draws
        batches = [(i, size, _count(counter, n, size, rng)) for i in range(2) for size in parts_of(todo, BATCHES)]
        for i, _, batch in batches:
            counts[i] += batch
        done += todo
        signs = np.sign(counts[0] + counts[1] - (counts[0] + counts[1]).mean(1, keepdims=True))
        leaks += [leak_by_signs(batch - batch.mean(1, keepdims=True), signs) / size for _, size, batch in batches]
        sizes += [size for _, size, _ in batches]
        bracket = leak_bracket(counts[0] / done, counts[1] / done)
        error = batch_error(np.array(leaks), np.array(sizes, dtype=np.float64))
        if 2 * done >= most or (bracket.gap <= close and error <= close / 2 * bracket.value):
            break
    return ExactLeak(bracket[0], bracket[1], error, 2 * done, len(counter.shifts))


def _able(difference: Floats, n: int) -> Floats:
    """Keep codewords whose bound on the chance of winning, e^(t max_z (l_1 - l_k)) M(t)^(n-1), is not negligible.

    Takes differences to the best codeword, which comes first.
    """
    t = tilts(difference)
    finite = np.where(np.isfinite(t), t, 0.0)
    exponent = -finite[:, None] * difference
    top = exponent.max(1)
    log_m = top + np.log(np.exp(exponent - top[:, None]).mean(1))
    bound = (n - 1) * log_m + finite * (-difference.min(1))
    # Codewords that no record prefers never win (ties go to the first, so equal ones are kept).
    possible = (bound > np.log(NEVER / len(difference))) & ~(np.isinf(t) & (difference.min(1) > 0))
    possible[0] = True
    return np.asarray(difference[possible])


def _count(counter: ArgminCounter, n: int, draws: int, rng: np.random.Generator) -> Floats:
    """Winners over `draws` training sets of n - 1 other records, a bounded number of them at a time."""
    k, pool = counter.shifts.shape
    rows = max(1, min(2000, BLOCK // max(k, pool, min(n, 10 * pool))))
    total: Floats = np.zeros((k, pool))
    for start in range(0, draws, rows):
        total += counter.count(with_replacement(pool, n - 1, min(rows, draws - start), rng) @ counter.shifts.T)
    return total


def two_gaussian(n: int, *, delta: float, sigma: float) -> float:
    """Return log leak_n for two candidates whose loss difference is N(delta, sigma^2); here r_C = r.

    The second candidate wins when the summed differences are negative, so that with D the attacked record's own
    leak_n = E |P(S_{n-1} + D < 0) - P(S_n < 0)|: one integral over D, taken in log space.

    Examples
    --------
    >>> slope = two_gaussian(401, delta=0.4, sigma=1.0) - two_gaussian(400, delta=0.4, sigma=1.0)
    >>> round(-slope / 0.08, 2)  # r = 0.4^2 / 2
    1.02
    """
    _positive_n(n)
    d = np.linspace(delta - 14 * sigma - 3 * delta, delta + 14 * sigma, 40001)
    log_density = stats.norm.logpdf(d, delta, sigma)
    everyone = stats.norm.logcdf(-np.sqrt(n) * delta / sigma)
    if n == 1:
        given = np.where(d < 0, 0.0, -np.inf)
    else:
        given = stats.norm.logcdf(-((n - 1) * delta + d) / (np.sqrt(n - 1) * sigma))
    return _log_integral(d, log_density, given, float(everyone))


def two_gamma(n: int, *, shape: float, shift: float, scale: float = 1.0) -> float:
    """Return log leak_n for two candidates whose loss difference is Gamma(shape, scale) - shift; here r_C < r or > r.

    Sums are Gamma(n shape, scale) - n shift. With delta = shape scale - shift > 0:
    r = delta^2 / (2 shape scale^2) and r_C = shape log(shape scale / shift) - shape + shift / scale.
    """
    _positive_n(n)
    if shape * scale <= shift or shift <= 0:
        raise InvalidInput(f"two_gamma: needs 0 < shift < shape x scale. Found {shift} and {shape * scale}.")
    # The integrand lives between 0 and well past the sum's own threshold; g = D + shift > 0.
    top = stats.gamma.isf(1e-18, shape, scale=scale)
    g = np.geomspace(1e-12 * scale, top, 40001)
    log_density = stats.gamma.logpdf(g, shape, scale=scale)
    everyone = stats.gamma.logcdf(n * shift, n * shape, scale=scale)
    with np.errstate(divide="ignore"):
        if n == 1:
            given = np.where(g < shift, 0.0, -np.inf)
        else:
            given = stats.gamma.logcdf(n * shift - g, (n - 1) * shape, scale=scale)
    return _log_integral(g, log_density, given, float(everyone))


def _log_integral(x: Floats, log_density: Floats, given: Floats, everyone: float) -> float:
    """Return log of the integral of |e^given - e^everyone| e^log_density, by the trapezoid rule in log space."""
    high = np.maximum(given, everyone)
    low = np.minimum(given, everyone)
    with np.errstate(divide="ignore"):
        log_difference = high + np.log(-np.expm1(low - high))
    widths = np.gradient(x)
    return float(special.logsumexp(log_difference + log_density + np.log(widths)))


def union_bound(losses: Floats, n: int) -> float:
    """Return min(1, 2 sum_{k >= 2} exp(-n r_C,k)), a true bound on the leak of the minimiser over this pool."""
    from leaq.measures.chernoff import chernoff_exponents

    check_losses(losses)
    _positive_n(n)
    if len(losses) < 2:
        raise NotEnoughEvidence("union_bound: compares at least 2 candidates. Found 1.")
    ordered = sorted_set(losses)
    return float(min(1.0, 2 * np.exp(-n * chernoff_exponents(ordered[1:] - ordered[0])).sum()))


def _positive_n(n: int) -> None:
    if n < 1:
        raise InvalidInput(f"the number of training records must be at least 1. Found {n}.")
