"""Intervals: exact binomial ones, and a bootstrap over models and records at once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.lazy import special
from leaq.types import Bools, Floats, Ints

EXACT = 2**24
"""Whole numbers below it, and their sums, are exact in float32: what is counted is, in half the time."""
_AT_ONCE = 16
"""Draws whose indices are held at once: those of all of them would not fit beside the counts."""


def percentile_interval(draws: Floats, *, level: float = 0.95) -> tuple[float, float]:
    """Return the central share `level` of bootstrap draws."""
    if not np.size(draws):
        raise NotEnoughEvidence(
            "An interval needs draws in which its number is defined. Found none: the records or models all are of one "
            "kind. Bring records of every class, members and non-members."
        )
    tail = (1 - level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def normal_quantile(level: float) -> float:
    """Return how many standard errors an interval of this level reaches to either side under the normal law."""
    return float(special.ndtri((1 + level) / 2))


def t_quantile(level: float, freedom: float) -> float:
    """Return the same under Student's law, for a standard error from few values."""
    return float(special.stdtrit(max(1, freedom), (1 + level) / 2))


def mean_interval(values: Floats, other: Floats | None = None, *, level: float = 0.95) -> tuple[float, float]:
    """Return where the mean of what (n,) `values` were drawn from lies, honest for a handful of them.

    Student's t; with `other`, the mean of `values` minus that of `other`, Welch's t (the two may differ in spread).
    A percentile bootstrap of n = 5 values covers 83 % where it says 95 % (`few_means_widening`); this covers 95 % of
    normal values at every n >= 2, and less where they are skewed.
    Do not trust when n is below 5 and the values can be skewed, or when all values are equal: the width is then 0.
    Sources: Student (1908), Biometrika 6:1; Welch (1947), Biometrika 34:28.

    Examples
    --------
    >>> [round(end, 2) for end in mean_interval(np.array([1.0, 2.0, 3.0]))]
    [-0.48, 4.48]
    """
    groups = [np.asarray(one, float) for one in (values, other) if one is not None]
    if min(len(one) for one in groups) < 2:
        raise InvalidInput("mean_interval: needs at least 2 values. Found fewer.")
    centre = float(groups[0].mean() - (groups[1].mean() if len(groups) > 1 else 0.0))
    parts = [float(one.var(ddof=1)) / len(one) for one in groups]  # squared standard errors
    squared = sum(parts)
    if squared == 0:
        return centre, centre
    degrees = squared**2 / sum(part**2 / (len(one) - 1) for part, one in zip(parts, groups, strict=True))
    half = t_quantile(level, degrees) * squared**0.5
    return centre - half, centre + half


def few_means_widening(n: int) -> float:
    """Return the factor that makes the spread of bootstrap means of n values as wide as Student's t asks for (at 95 %).

    The bootstrap divides by n where n - 1 is right, and knows no tails heavier than the normal's.
    Source: Hesterberg (2015), The American Statistician 69:371, section 5.3 (the expanded percentile interval).

    Examples
    --------
    >>> round(few_means_widening(5), 2), round(few_means_widening(100), 2)
    (1.58, 1.02)
    """
    return float((n / (n - 1)) ** 0.5) * t_quantile(0.95, n - 1) / normal_quantile(0.95)


@dataclass(frozen=True)
class TwoWay:
    """Bootstrap weights over models and record groups: both are shared, so both are resampled.

    A bootstrap over records alone is too narrow, because every model saw the same records, and the records' results
    share the models. Resamples of a handful of models lie too close together: `over_models` moves them apart by
    `few_means_widening`.

    Attributes
    ----------
    models : (b, t) how often each of t models is drawn; models of one unit are drawn together.
    records : (b, n) how often each record is drawn; records of one group are drawn together.
    units : (t,) code 0..u-1 of what each model is drawn with; each on its own by default.
    """

    models: Floats
    records: Floats
    units: Ints = field(default_factory=lambda: np.empty(0, np.int64))

    def __post_init__(self) -> None:
        if self.units.size == 0:
            object.__setattr__(self, "units", np.arange(self.models.shape[1], dtype=np.int64))

    @cached_property
    def whole(self) -> Floats:
        """The weights of records, which are whole numbers, in half the memory (b, n)."""
        return self.records.T.astype(np.float32).T  # a record's draws stay side by side

    @classmethod
    def draw(
        cls, models: int, groups: Ints, *, draws: int, rng: np.random.Generator, units: Ints | None = None
    ) -> "TwoWay":
        """Draw `draws` resamples of `models` models, those of one of `units` (t,) together, and of record groups."""
        _, code = np.unique(groups, return_inverse=True)
        count = int(code.max()) + 1
        records = np.empty((len(groups), draws))  # a record's draws lie side by side: `tpr_draws` picks records
        for start in range(0, draws, _AT_ONCE):
            counts = [
                np.bincount(rng.integers(count, size=count), minlength=count)[code]
                for _ in range(min(_AT_ONCE, draws - start))
            ]
            records[:, start : start + _AT_ONCE] = np.stack(counts, axis=1)
        unit = np.arange(models) if units is None else np.unique(units, return_inverse=True)[1]
        number = int(unit.max()) + 1
        drawn = rng.multinomial(number, np.full(number, 1 / number), size=draws).astype(np.float64)
        return cls(drawn[:, unit], records.T, unit)

    def mean(self, statistic: Callable[[int, Floats], Floats]) -> Floats:
        """Return (b,) resampled means over models of ``statistic(model, record_weights) -> (b,)``.

        A draw in which the statistic is undefined for a model (no record of one kind drawn) leaves that model out.
        """
        found = self.over_models(
            np.stack([statistic(model, self.records) for model in range(self.models.shape[1])], axis=1)
        )
        return found[np.isfinite(found)]

    def over_models(self, values: Floats) -> Floats:
        """Return the mean over each draw's models of what was found in its records: (b, t) -> (b,), NaN left out.

        The mean over all models in the draw's records, plus what drawing the models changes, widened to what Student's
        t asks for with so few units. NaN where nothing was found in any model.
        """
        every = _weighted_mean(values, np.ones_like(self.models))
        number = int(self.units.max()) + 1
        if number < 2:
            return every
        moved = _weighted_mean(values, self.models) - every
        moved = np.where(np.isfinite(moved), moved, 0.0)
        result: Floats = every + few_means_widening(number) * moved
        return result


def _weighted_mean(values: Floats, weights: Floats) -> Floats:
    """Mean of each row's finite values (b, t) under its weights, (b,); NaN where they weigh nothing."""
    weights = np.where(np.isfinite(values), weights, 0.0)
    total = weights.sum(1)
    summed = (np.where(np.isfinite(values), values, 0.0) * weights).sum(1)
    mean: Floats = np.where(total > 0, summed / np.where(total > 0, total, 1.0), np.nan)
    return mean


def jackknife_influence(without: Floats) -> Floats:
    """Return each unit's influence (u, ...) on a mean, from what is found without it: (u - 1) (mean of all - without).

    Their variance over u - 1 is the jackknife's variance of the mean, whatever leaving a unit out changes: also what
    the others' numbers owe to it.
    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 11.

    Examples
    --------
    >>> jackknife_influence(np.array([1.5, 3.0, 4.5])).tolist()  # the mean of 6, 3 and 0 without each of them
    [3.0, 0.0, -3.0]
    """
    values: Floats = (len(without) - 1) * (without.mean(0) - without)
    return values


@dataclass(frozen=True)
class BootstrapWeights:
    """Resamples of models and records of two kinds, and how much of either kind each draw holds.

    Attributes
    ----------
    ways : the resamples.
    positive : (t, n) which records are of the first kind (members) for each model.
    """

    ways: TwoWay
    positive: Bools

    def of(self, models: Bools) -> "BootstrapWeights":
        """Return the same draws of the records for some of the models, a mask (t,)."""
        found = BootstrapWeights(self.ways, self.positive[models])
        found.__dict__.update(inside=self.inside[:, models], outside=self.outside[:, models])  # known already
        return found

    def weight(self, part: Floats | Bools) -> Floats:
        """Return the drawn weight of `part` (t, n) in each draw and model, (b, t)."""
        if part.dtype == np.bool_ and self.positive.shape[1] < EXACT:
            counts: Floats = self.ways.whole @ part.T.astype(np.float32)
            return counts.astype(np.float64)
        found: Floats = self.ways.records @ part.T.astype(np.float64)
        return found

    @cached_property
    def inside(self) -> Floats:
        """Weight of the first kind, (b, t)."""
        return self.weight(self.positive)

    @cached_property
    def outside(self) -> Floats:
        """Weight of the second kind, (b, t)."""
        everything = self.ways.records @ np.ones(self.positive.shape[1])
        return np.asarray(everything[:, None] - self.inside)
