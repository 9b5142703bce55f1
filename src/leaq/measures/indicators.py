"""Simple indicators, which any new one has to beat: output distortion and the loss gap."""

import numpy as np

from leaq.errors import InvalidInput
from leaq.seeds import stream
from leaq.stats.intervals import TwoWay, percentile_interval
from leaq.types import Estimate, Floats, LossTable

__all__ = ["distortion", "loss_gap"]


def distortion(
    table: LossTable, reference: LossTable, *, level: float = 0.95, seed: int = 0, draws: int = 200
) -> Estimate:
    """Tell how far quantization moved the outputs: mean squared change over the variance of the originals.

    Direction: larger usually means less leak and less accuracy. Range: [0, inf); 0 = unchanged.
    Interval: bootstrap over models and record groups.
    """
    if table.outputs is None or reference.outputs is None:
        raise InvalidInput("distortion: both tables must hold outputs.")
    after, before = table.outputs, reference.outputs
    if table.task == "classification":  # a constant added to all logits changes nothing
        after, before = after - after.mean(2, keepdims=True), before - before.mean(2, keepdims=True)
    moved = ((after - before) ** 2).mean(2)  # (s, n)
    spread = ((before - before.mean(1, keepdims=True)) ** 2).mean((1, 2))  # (s,)
    relative = moved / np.maximum(spread, 1e-300)[:, None]
    ways = TwoWay.draw(len(relative), table.groups, draws=draws, rng=stream(seed, "indicator-intervals"))
    resampled = ways.mean(lambda model, w: np.asarray(w @ relative[model] / w.sum(1)))
    return _estimate(table, float(relative.mean()), resampled, level)


def loss_gap(table: LossTable, *, level: float = 0.95, seed: int = 0, draws: int = 200) -> Estimate:
    """Tell how much worse released models do on records that did not train them: mean loss outside minus inside.

    Direction: smaller is safer; about 0 for a model that did not overfit. Range: (-inf, inf).
    """
    losses, members = table.released, table.members
    ways = TwoWay.draw(len(losses), table.groups, draws=draws, rng=stream(seed, "indicator-intervals"))

    def statistic(model: int, weights: Floats) -> Floats:
        inside, outside = members[model], ~members[model]
        row = losses[model]
        with np.errstate(invalid="ignore", divide="ignore"):
            mean_out = weights @ (row * outside) / (weights @ outside)
            return np.asarray(mean_out - weights @ (row * inside) / (weights @ inside))

    value = float(np.mean([statistic(model, np.ones((1, losses.shape[1])))[0] for model in range(len(losses))]))
    return _estimate(table, value, ways.mean(statistic), level)


def _estimate(table: LossTable, value: float, draws: Floats, level: float) -> Estimate:
    low, high = percentile_interval(draws, level=level)
    return Estimate(
        value,
        min(low, value),
        max(high, value),
        table.members.size,
        level,
        "record-model pairs",
        "bootstrap over models and records",
    )
