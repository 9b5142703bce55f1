"""Intervals: exact binomial ones, and a bootstrap over models and records at once."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from leaq.errors import InvalidInput
from leaq.types import Floats, Ints

__all__ = ["TwoWay", "clopper_pearson", "normal_quantile", "percentile_interval", "t_quantile"]


def clopper_pearson(successes: int, trials: int, *, level: float = 0.95) -> tuple[float, float]:
    """Return the exact two-sided binomial interval for a share.

    Source: Clopper and Pearson (1934), Biometrika 26:404.

    Examples
    --------
    >>> low, high = clopper_pearson(100, 100)
    >>> round(low, 3), high
    (0.964, 1.0)
    """
    if not 0 <= successes <= trials or trials < 1:
        raise InvalidInput(
            f"clopper_pearson: needs 0 <= successes <= trials, trials >= 1. Found {successes}, {trials}."
        )
    tail = (1 - level) / 2
    low = stats.beta.ppf(tail, successes, trials - successes + 1) if successes else 0.0
    high = stats.beta.isf(tail, successes + 1, trials - successes) if successes < trials else 1.0
    return float(low), float(high)


def percentile_interval(draws: Floats, *, level: float = 0.95) -> tuple[float, float]:
    """Return the central share `level` of bootstrap draws."""
    tail = (1 - level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def normal_quantile(level: float) -> float:
    """Return how many standard errors an interval of this level reaches to either side under the normal law."""
    return float(stats.norm.ppf((1 + level) / 2))


def t_quantile(level: float, freedom: int) -> float:
    """Return the same under Student's law, for a standard error from few values."""
    return float(stats.t.ppf((1 + level) / 2, max(1, freedom)))


@dataclass(frozen=True)
class TwoWay:
    """Bootstrap weights over models and record groups: both are shared, so both are resampled.

    A bootstrap over records alone is too narrow, because every model saw the same records, and the records' results
    share the models.

    Attributes
    ----------
    models : (b, t) how often each of t models is drawn.
    records : (b, n) how often each record is drawn; records of one group are drawn together.
    """

    models: Floats
    records: Floats

    @classmethod
    def draw(cls, models: int, groups: Ints, *, draws: int, rng: np.random.Generator) -> "TwoWay":
        """Draw `draws` resamples of `models` models and of the record groups."""
        _, code = np.unique(groups, return_inverse=True)
        count = int(code.max()) + 1
        records = np.empty((draws, len(groups)))
        for row in records:  # one draw at a time: the indices of all of them would not fit beside the counts
            row[:] = np.bincount(rng.integers(count, size=count), minlength=count)[code]
        drawn = rng.multinomial(models, np.full(models, 1 / models), size=draws).astype(np.float64)
        return cls(drawn, records)

    def mean(self, statistic: Callable[[int, Floats], Floats]) -> Floats:
        """Return (b,) resampled means over models of ``statistic(model, record_weights) -> (b,)``.

        A draw in which the statistic is undefined for a model (no record of one kind drawn) leaves that model out.
        """
        return self.over_models(
            np.stack([statistic(model, self.records) for model in range(self.models.shape[1])], axis=1)
        )

    def over_models(self, values: Floats) -> Floats:
        """Return the mean over each draw's models of what was found in its records: (b, t) -> (b,), NaN left out."""
        weights = np.where(np.isfinite(values), self.models, 0.0)
        total = weights.sum(1)
        means = (np.where(np.isfinite(values), values, 0.0) * weights).sum(1) / np.maximum(total, 1e-300)
        usable: Floats = means[total > 0]
        return usable
