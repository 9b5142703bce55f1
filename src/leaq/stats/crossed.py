"""The uncertainty of a mean over models that share their records: models and records are both drawn, and cross.

A number of each model on the same records varies for three reasons: which records were drawn (shared by all models),
which models were trained (and, where the others are their shadows, which those were), and what is left for a model and
a record together. Resampling records shows the first and the last, leaving models out the second and the last, so that
the sum of both counts the last twice. In a single number it stays twice, as a reserve: thresholds are held fixed in the
resamples, and what they owe to the records is not seen. So it does in a difference, unless influences are those of a
jackknife: leaving shadows out turns what is left for a record into a multiple of it, which is measured and taken off.

Source: the two-way decomposition of Owen (2007), Annals of Applied Statistics 1:386, and Cameron, Gelbach, Miller
(2011), Journal of Business & Economic Statistics 29:238; Student's t for the few models.
"""

from dataclasses import dataclass

import numpy as np

from leaq.stats.intervals import TwoWay, normal_quantile, t_quantile
from leaq.types import Floats


@dataclass(frozen=True)
class Crossed:
    """What the interval of a mean over models is made of. Linear, so that the difference of two is paired.

    Attributes
    ----------
    value : the mean.
    records : (b,) how far the mean moves in each draw of the records.
    units : (u,) influence of each unit of models: u times what more weight on it would add to the mean.
    cells : (b, u) how far each unit moves in each draw of the records beside all others.
    models : (b, u) how often each unit is drawn; for draws of the mean.
    reserve : what is counted twice stays in.
    jackknife : influences were found by leaving units out.
    """

    value: float
    records: Floats
    units: Floats
    cells: Floats
    models: Floats
    reserve: bool = True
    jackknife: bool = False

    def __sub__(self, other: "Crossed") -> "Crossed":
        return Crossed(
            self.value - other.value,
            self.records - other.records,
            self.units - other.units,
            self.cells - other.cells,
            self.models,
            reserve=not self.jackknife,
            jackknife=self.jackknife,
        )

    def error(self, *, level: float = 0.95) -> float:
        """Return the standard error that an interval of this level reaches out with by normal quantiles.

        The part of the models is as large as Student's t asks for with so few units.
        """
        variance = float(np.nanvar(self.records))
        number = len(self.units)
        if number > 1:
            wider = (t_quantile(level, number - 1) / normal_quantile(level)) ** 2
            between = wider * float(self.units.var(ddof=1)) / number
            within = float(np.nanmean(np.nanvar(self.cells, axis=1, ddof=1))) / number
            variance += between if self.reserve else max(0.0, between - within)
        return float(np.sqrt(variance))

    def interval(self, *, level: float = 0.95) -> tuple[float, float]:
        """Return the interval of the mean."""
        half = normal_quantile(level) * self.error(level=level)
        return self.value - half, self.value + half

    def draws(self) -> Floats:
        """Return (b,) draws of the mean, from draws of records and of units."""
        if len(self.units) < 2:
            return self.value + self.records
        moved = (self.models - 1) @ self.units / len(self.units)
        found: Floats = self.value + self.records + moved
        return found


@dataclass(frozen=True)
class Influence:
    """How much more weight on each unit of models would add to a mean, times u: found by leaving each out.

    Attributes
    ----------
    units : (u,); see `jackknife_influence`.
    drawn : (b, u) the same in each draw of the records.
    """

    units: Floats
    drawn: Floats


def crossed(values: Floats, drawn: Floats, ways: TwoWay, *, influence: Influence | None = None) -> Crossed:
    """Return the mean of (t,) values of models, from what was found of each in the draws of the records, (b, t).

    Parameters
    ----------
    influence : of each unit of `ways`, where it moves more than its own models' values.
    """
    every, jackknife = np.nanmean(drawn, axis=1), influence is not None
    if influence is None:
        influence = _own(values, drawn, ways)
    cells = influence.drawn - influence.drawn.mean(0)
    _, first = np.unique(ways.units, return_index=True)
    return Crossed(
        value=float(values.mean()),
        records=every - np.nanmean(every),
        units=influence.units,
        cells=cells - cells.mean(1, keepdims=True),
        models=ways.models[:, first],
        jackknife=jackknife,
    )


def _own(values: Floats, drawn: Floats, ways: TwoWay) -> Influence:
    """Influence of units that move nothing but their own models' values; where a draw has none, it is that of all."""
    number = int(ways.units.max()) + 1
    member = np.eye(number)[ways.units] * number / len(values)  # (t, u)
    moved = drawn - np.nanmean(drawn, axis=1, keepdims=True)
    moved = np.where(np.isfinite(moved), moved, values - values.mean())
    return Influence((values - values.mean()) @ member, moved @ member)
