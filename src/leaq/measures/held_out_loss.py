"""Mean loss on records that did not train the model: the metric every model has, whatever its outputs mean."""

import numpy as np

from leaq.seeds import stream
from leaq.stats.intervals import TwoWay, percentile_interval
from leaq.types import Estimate, Floats, LossTable


def held_out_loss(table: LossTable, *, level: float = 0.95, seed: int = 0, draws: int = 200) -> Estimate:
    """Tell how well released models do on non-members, in the unit of their own loss.

    Direction: smaller is better. Interval: bootstrap over models and record groups.
    """
    return _mean(table, table.released, level=level, seed=seed, draws=draws)


def held_out_drop(
    table: LossTable, reference: LossTable, *, level: float = 0.95, seed: int = 0, draws: int = 200
) -> Estimate:
    """Tell what a quantizer costs: mean held-out loss minus that of full precision, record by record.

    Direction: positive is worse. Interval: bootstrap over models and record groups, paired.
    """
    return _mean(table, table.released - reference.released, level=level, seed=seed, draws=draws)


def _mean(table: LossTable, values: Floats, *, level: float, seed: int, draws: int) -> Estimate:
    outside = ~table.members
    ways = TwoWay.draw(len(values), table.groups, draws=draws, rng=stream(seed, "performance-intervals"))

    def statistic(model: int, weights: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(weights @ (values[model] * outside[model]) / (weights @ outside[model]))

    value = float(np.mean([row[out].mean() for row, out in zip(values, outside, strict=True)]))
    low, high = percentile_interval(ways.mean(statistic), level=level)
    n, method = int(outside.sum()), "bootstrap over models and records"
    return Estimate.spanning(value, low, high, n, level, "record-model pairs", method)
