"""Task metrics on the records a model was not trained on, with intervals, and what a quantizer costs in them."""

from collections.abc import Callable

import numpy as np

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.seeds import stream
from leaq.stats.intervals import TwoWay, percentile_interval
from leaq.stats.ranks import ranked
from leaq.stats.roc import weighted_auc
from leaq.types import Estimate, Floats, LossTable

__all__ = ["drop", "performance"]

Metric = Callable[[Floats, Floats, Floats], Floats]
"""(outputs (n, k), targets (n,), record weights (b, n)) -> (b,)"""


def performance(table: LossTable, *, level: float = 0.95, seed: int = 0, draws: int = 200) -> dict[str, Estimate]:
    """Tell how good the released models are on records that did not train them, averaged over models.

    Classification: roc_auc (macro one-against-rest beyond two classes), accuracy. Regression: r2, rmse, mae and
    spearman in the original unit. Intervals: bootstrap over models and record groups.
    """
    values = _values(table, seed=seed, draws=draws)
    return {name: _estimate(table, point, spread, level) for name, (point, spread) in values.items()}


def drop(
    table: LossTable, reference: LossTable, *, level: float = 0.95, seed: int = 0, draws: int = 200
) -> dict[str, Estimate]:
    """Tell what a quantizer costs: metric minus that of the same models in full precision, paired draw by draw."""
    if not np.array_equal(table.members, reference.members):
        raise InvalidInput("drop: both tables must hold the same models and members, in the same order.")
    after = _values(table, seed=seed, draws=draws)
    before = _values(reference, seed=seed, draws=draws)
    return {
        name: _estimate(table, after[name][0] - before[name][0], after[name][1] - before[name][1], level)
        for name in after
    }


def _values(table: LossTable, *, seed: int, draws: int) -> dict[str, tuple[float, Floats]]:
    """Each metric's mean over models, and its bootstrap draws (b,), aligned between tables of one seed."""
    if table.outputs is None or table.targets is None:
        raise InvalidInput("performance: the table must hold outputs and targets. Evaluate with outputs kept.")
    outputs, targets, held_out = table.outputs, np.asarray(table.targets), ~table.members
    if not held_out.any(1).all():
        raise NotEnoughEvidence(
            "performance: every model needs records that did not train it. Model "
            f"{int(np.argmin(held_out.any(1)))} has none. Hold some records out."
        )
    ways = TwoWay.draw(len(outputs), table.groups, draws=draws, rng=stream(seed, "performance-intervals"))
    found = {}
    for name, metric in _metrics(table).items():

        def statistic(model: int, weights: Floats, metric: Metric = metric) -> Floats:
            rows = held_out[model]
            # A draw of groups may hold none of this model's non-members: undefined, and left out by `ways.mean`.
            with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
                values = metric(outputs[model][rows], targets[rows], weights[:, rows])
            return np.where(weights[:, rows].any(1), values, np.nan)

        ones = np.ones((1, outputs.shape[1]))
        point = float(np.mean([statistic(model, ones)[0] for model in range(len(outputs))]))
        found[name] = (point, ways.mean(statistic))
    return found


def _metrics(table: LossTable) -> dict[str, Metric]:
    if table.task == "classification":
        return {"roc_auc": _roc_auc, "accuracy": _accuracy}
    return {"r2": _r2, "rmse": _rmse, "mae": _mae, "spearman": _spearman}


def _roc_auc(outputs: Floats, targets: Floats, weights: Floats) -> Floats:
    if outputs.shape[1] == 2:
        return weighted_auc(outputs[:, 1] - outputs[:, 0], targets == 1, weights)
    shifted = outputs - outputs.max(1, keepdims=True)
    odds = np.exp(shifted)
    share = odds / odds.sum(1, keepdims=True)
    areas = np.stack([weighted_auc(share[:, k], targets == k, weights) for k in np.unique(targets).astype(int)])
    return np.asarray(areas.mean(axis=0))


def _accuracy(outputs: Floats, targets: Floats, weights: Floats) -> Floats:
    return np.asarray(weights @ (outputs.argmax(1) == targets) / weights.sum(1))


def _r2(outputs: Floats, targets: Floats, weights: Floats) -> Floats:
    total = weights.sum(1)
    mean = weights @ targets / total
    around = weights @ targets**2 / total - mean**2
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        result: Floats = 1 - _squared(outputs, targets, weights) / around
    return result


def _squared(outputs: Floats, targets: Floats, weights: Floats) -> Floats:
    return np.asarray(weights @ (outputs[:, 0] - targets) ** 2 / weights.sum(1))


def _rmse(outputs: Floats, targets: Floats, weights: Floats) -> Floats:
    return np.sqrt(_squared(outputs, targets, weights))


def _mae(outputs: Floats, targets: Floats, weights: Floats) -> Floats:
    return np.asarray(weights @ np.abs(outputs[:, 0] - targets) / weights.sum(1))


def _spearman(outputs: Floats, targets: Floats, weights: Floats) -> Floats:
    """Weighted correlation of the ranks in the whole held-out set (ranks are not recomputed a draw)."""
    a, b = ranked(outputs[:, 0]), ranked(targets)
    total = weights.sum(1)
    mean_a, mean_b = weights @ a / total, weights @ b / total
    covariance = weights @ (a * b) / total - mean_a * mean_b
    spread = (weights @ a**2 / total - mean_a**2) * (weights @ b**2 / total - mean_b**2)
    # A constant prediction ranks nothing: its correlation is 0 by convention, not undefined.
    return np.asarray(np.where(spread > 1e-12, covariance / np.sqrt(np.maximum(spread, 1e-12)), 0.0))


def _estimate(table: LossTable, value: float, draws: Floats, level: float) -> Estimate:
    if np.isnan(value) or len(draws) == 0:
        raise NotEnoughEvidence("A task metric needs held-out records of at least two classes, or values that vary.")
    low, high = percentile_interval(draws, level=level)
    n = int((~table.members).sum())
    return Estimate(
        value, min(low, value), max(high, value), n, level, "record-model pairs", "bootstrap over models and records"
    )
