"""The asymptotic rate r of membership inference security, from the losses of quantized candidates.

A quantizer makes the released model one of finitely many candidates. If the learner picks the empirical minimiser,
its leak decays as exp(-n r) with

    r = min_k delta_k^2 / (2 sigma_k^2) = min_k rho_k^2 / 2,   rho_k = delta_k / sigma_k,

and lambda_k = (delta_2 / delta_k)^2 sigma_k^2 shows which candidate decides: relative to the largest it is r / r_k.
exp(-n r) is an asymptotic value for gaps that shrink with n, no bound. For a fixed codebook the exponent is
Cramer-Chernoff's, and leak_n <= 2 sum_k exp(-n r_C,k) holds for every n.

Source: Aubinais, Formont, Piantanida, Gassiat (AISTATS 2026, PMLR 300:649-657; arXiv 2502.06567). Larger r = more
private, but r belongs to a set of candidates: compare only sets of the same number and spacing.

The doubt about the rate of one candidate set is a band that holds for all candidates at once, and a cross-fitted value.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leaq.errors import InvalidInput, NotEnoughEvidence, counted
from leaq.measures.chernoff import chernoff, exponents_with_doubt
from leaq.measures.cross_fitting import alike, cross_fitted, halvings
from leaq.measures.loss_gaps import (
    LossGaps,
    distinct_candidates,
    exponents,
    gaps,
    merge_duplicates,
    rate_of,
    rho_of,
    sorted_set,
)
from leaq.results import Curve
from leaq.seeds import stream
from leaq.types import Bools, Estimate, Flag, Floats, LossTable

__all__ = ["RateResult", "chernoff", "gaps", "merge_duplicates", "order_changes", "rate", "rate_of"]

FEWEST_RECORDS = 4
METHOD = (
    "median over models of the cross-fitted value; simultaneous band over candidates from a bootstrap of (m, Sigma), "
    "models resampled"
)


@dataclass(frozen=True)
class RateResult:
    """The rate of one quantizer's candidates, and what it rests on.

    Attributes
    ----------
    r : the rate per training record; `n_r` : r times the number of training records.
    asymptotic : exp(-n r), an asymptotic value and no bound; flagged where n r is small.
    chernoff : the Cramer-Chernoff exponent min_k r_C,k; `union_bound` : 2 sum_k exp(-n r_C,k), at most 1.
    curve : lambda_k relative to its largest (= r / r_k) against k: median over models, band over models and draws.
    candidates : distinct candidates per model (median).
    halved : r with every other candidate left out.
    plug_in : r with the order and the gaps from the same records (biased upwards where candidates tie).
    """

    r: Estimate
    n_r: Estimate
    asymptotic: Estimate
    chernoff: Estimate
    union_bound: Estimate
    curve: Curve
    candidates: int
    halved: Estimate
    flags: tuple[Flag, ...] = ()
    plug_in: float = 0.0


def rate(
    table: LossTable, *, models: Sequence[int] | None = None, level: float = 0.95, seed: int = 0, draws: int = 200
) -> RateResult:
    """Tell how fast the leak of an empirical-minimiser would fall with more training records.

    Direction: larger is safer. Range: [0, inf].
    Interval: rho = min_k delta_k / sigma_k of each model gets a band that holds for all candidates at once (a
    bootstrap of mean and covariance, so that ties and near-ties are covered and then reach 0); models are resampled.
    The value is cross-fitted: the best and the deciding candidate are chosen on one half of the records, and their
    gap is measured on the other. It is kept inside the interval by widening the interval, never by moving the value.
    Do not trust when: n r is below about 3 (the exponent alone then misranks), or the candidates are checkpoints of
    an over-fitted network (no empirical minimiser); see docs/fidelity.md for measured agreement with attacks.

    Parameters
    ----------
    table : losses (s, c, n); each model's candidates are judged on the records that did not train it.
    models : which models, all by default.

    Raises
    ------
    NotEnoughEvidence
        If every candidate of every model is the same function, or there are fewer than 4 held-out records.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> losses = rng.normal([[0.0], [0.5]], 1.0, size=(2, 4000))  # delta = 0.5, sigma^2 = 2: r = 0.0625
    >>> table = LossTable(losses[None], np.zeros((1, 4000), bool), "regression", "iid", n_train=100)
    >>> found = rate(table).r
    >>> found.low < 0.0625 < found.high
    True
    """
    chosen = range(len(table.losses)) if models is None else models
    usable = distinct_candidates(table, chosen, what="r")
    fewest = min(losses.shape[1] for losses in usable)
    if fewest < FEWEST_RECORDS:
        raise NotEnoughEvidence(
            f"r needs at least {FEWEST_RECORDS} held-out records a model. Found {fewest}. Bring more records."
        )
    rng = stream(seed, "rate-intervals")
    found = _each(usable, level=level, draws=draws, n_train=table.n_train, rng=rng)
    r = _over_models([one.r for one in found], level, rng)
    flags = _warnings(table, r, found, usable, dropped=len(chosen) - len(usable))
    # The released candidate is the last one: it stays.
    thinned = [losses[::-2] for losses in usable if len(losses[::-2]) > 1]
    return RateResult(
        r=r.flagged(*flags),
        n_r=r.mapped(lambda value: table.n_train * value, flags=flags),
        asymptotic=r.mapped(lambda value: np.exp(-table.n_train * value), flags=flags),
        chernoff=_over_models([one.chernoff for one in found], level, rng),
        union_bound=_over_models([one.union for one in found], level, rng),
        curve=_curve([one.relative for one in found], level),
        candidates=int(np.median([len(losses) for losses in usable])),
        halved=_halved(thinned, r, level=level, draws=draws, rng=rng),
        flags=flags,
        plug_in=float(np.median([one.plug_in for one in found])),
    )


Band = tuple[float, float, float]
"""Value, low and high of one model."""


@dataclass(frozen=True)
class _OneModel:
    r: Band
    plug_in: float
    chernoff: Band
    union: Band
    relative: Floats
    """(draws, c - 1) of r / r_k."""
    unopposed: int
    """Candidates that no record prefers to the best one."""


def _each(
    sets: Sequence[Floats], *, level: float, draws: int, n_train: int, rng: np.random.Generator
) -> list[_OneModel]:
    """Measure each model's candidates (c, n): what is drawn at random model by model, the rest of all at once."""
    ordered = [sorted_set(losses) for losses in sets]
    found = [LossGaps.of(losses) for losses in ordered]
    bands, halves, relative = list[tuple[float, float]](), list[Bools](), list[Floats]()
    for losses, known in zip(ordered, found, strict=True):
        bands.append(band(losses, known, level=level, draws=draws, rng=rng))
        halves.append(halvings(losses.shape[1], rng))
        relative.append(relative_draws(losses, known, draws=draws, rng=rng))
    values = cross_fitted(ordered, halves).tolist()
    differences = [losses[1:] - losses[0] for losses in ordered]
    measured = []
    for at, (r_c, careful, bold) in enumerate(_exponents(differences)):
        bounds = [min(1.0, 2 * float(np.exp(-n_train * e).sum())) for e in (r_c, bold, careful)]
        one = _OneModel(
            r=(values[at], min(bands[at][0], values[at]), max(bands[at][1], values[at])),
            plug_in=found[at].rate,
            chernoff=(float(r_c.min()), float(careful.min()), float(max(bold.min(), r_c.min()))),
            union=(bounds[0], min(bounds[:2]), bounds[2]),
            relative=relative[at],
            unopposed=int((differences[at].min(1) >= 0).sum()),
        )
        measured.append(one)
    return measured


def _exponents(differences: Sequence[Floats]) -> list[tuple[Floats, Floats, Floats]]:
    """Return `exponents_with_doubt` of each model's candidates (k, n): those on as many records in one search."""
    found: dict[int, tuple[Floats, Floats, Floats]] = {}
    for places in alike([one.shape[1:] for one in differences]):
        rows = exponents_with_doubt(np.concatenate([differences[at] for at in places]))
        ends = np.cumsum([len(differences[at]) for at in places])[:-1]
        found |= zip(places, zip(*(np.split(kind, ends) for kind in rows), strict=True), strict=True)
    return [found[at] for at in range(len(differences))]


def _over_models(bands: Sequence[Band], level: float, rng: np.random.Generator) -> Estimate:
    """Median over models; the interval resamples models and takes each model's own band as it is."""
    values, lows, highs = (np.array(column) for column in zip(*bands, strict=True))
    value = float(np.median(values))
    s = len(values)
    if s == 1:
        return Estimate(value, float(lows[0]), float(highs[0]), 1, level, "models", METHOD, (ONE_RUN,))
    picked = rng.integers(s, size=(1000, s))
    tail = (1 - level) / 2
    low = np.quantile(np.quantile(lows[picked], 0.5, axis=1, method="lower"), tail, method="lower")
    high = np.quantile(np.quantile(highs[picked], 0.5, axis=1, method="higher"), 1 - tail, method="higher")
    return Estimate.spanning(value, float(low), float(high), s, level, "models", METHOD)


ONE_RUN = Flag("one-run", "Rests on the candidates of one training run; r varies by orders of magnitude between runs.")


def _curve(rows: Sequence[Floats], level: float) -> Curve:
    """lambda_k / max lambda against k; models with fewer distinct candidates end earlier."""
    longest, tail = int(np.median([row.shape[1] for row in rows])), (1 - level) / 2
    there = [[row[:, k] for row in rows if row.shape[1] > k] for k in range(longest)]
    y = [float(np.median([row[0] for row in here])) for here in there]  # the first draw is the estimate itself
    draws = [np.concatenate(here) for here in there]
    low = [min(float(np.quantile(column, tail)), v) for column, v in zip(draws, y, strict=True)]
    high = [max(float(np.quantile(column, 1 - tail)), v) for column, v in zip(draws, y, strict=True)]
    return Curve(tuple(float(k) for k in range(2, longest + 2)), tuple(y), tuple(low), tuple(high))


def _halved(sets: Sequence[Floats], r: Estimate, *, level: float, draws: int, rng: np.random.Generator) -> Estimate:
    """Rate of the sets with every other candidate left out; r itself where none has two candidates left."""
    ordered, halves, ends = [sorted_set(losses) for losses in sets], list[Bools](), list[tuple[float, float]]()
    for losses in ordered:
        halves.append(halvings(losses.shape[1], rng))
        ends.append(band(losses, LossGaps.of(losses), level=level, draws=draws, rng=rng))
    values = cross_fitted(ordered, halves).tolist() if ordered else []
    bands = [(value, min(low, value), max(high, value)) for value, (low, high) in zip(values, ends, strict=True)]
    if not bands:
        return r.flagged(Flag("not-halved", "Too few candidates to leave half of them out; this is r itself."))
    return _over_models(bands, level, rng)


def _warnings(
    table: LossTable, r: Estimate, found: Sequence[_OneModel], usable: Sequence[Floats], *, dropped: int
) -> tuple[Flag, ...]:
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
        text = f"{counted(dropped, 'model')} with a single distinct candidate left out of r."
        flags.append(Flag("same-function", text))
    merged = sum(table.losses.shape[1] - len(losses) for losses in usable)
    if merged:
        flags.append(Flag("merged-candidates", f"{counted(merged, 'candidate')} with another one's function merged."))
    unopposed = sum(one.unopposed for one in found)
    if unopposed:
        text = f"{counted(unopposed, 'candidate', 'are')} preferred by no record: the Chernoff exponent rests on that."
        flags.append(Flag("unopposed", text))
    return tuple(flags)


def order_changes(full: Sequence[float], halved: Sequence[float]) -> float:
    """Return the share of pairs of quantizers whose order by r changes when every other candidate is left out.

    Direction: 0 means that the ranking does not depend on the number of candidates; 0.5 is no ranking at all.

    Examples
    --------
    >>> order_changes([0.1, 0.2, 0.3], [0.1, 0.3, 0.2])
    0.3333333333333333
    """
    a, b = np.asarray(full), np.asarray(halved)
    if a.shape != b.shape or a.ndim != 1:
        raise InvalidInput(f"order_changes: two lists of the same length are compared. Found {a.shape} and {b.shape}.")
    i, j = np.triu_indices(len(a), 1)
    return float(np.mean(_order(a[i], a[j]) * _order(b[i], b[j]) < 0)) if len(i) else 0.0


def _order(a: Floats, b: Floats) -> Floats:
    """-1, 0 or 1; two infinities are equal."""
    return (a > b).astype(np.float64) - (a < b).astype(np.float64)


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
