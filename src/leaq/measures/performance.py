"""Task metrics on the records a model was not trained on, with intervals, and what a quantizer costs in them.

The mean held-out loss is the metric that every model has, whatever its outputs mean.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.results.metrics import metric
from leaq.seeds import stream
from leaq.stats.intervals import TwoWay, percentile_interval
from leaq.stats.ranks import ranked
from leaq.stats.roc import weighted_auc
from leaq.types import Estimate, Floats, LossTable

Metric = Callable[[Floats, Floats, Floats], Floats]
"""(outputs (n, k), targets (n,), record weights (b, n)) -> (b,)"""


def performance(table: LossTable, *, level: float = 0.95, seed: int = 0, draws: int = 200) -> dict[str, Estimate]:
    """Tell how good the released models are on records that did not train them, averaged over models.

    Classification: roc_auc (macro one-against-rest beyond two classes), accuracy. Regression: r2, rmse, mae and
    spearman in the original unit. Of several targets the mean over them: roc_auc and accuracy, r2 and spearman, or, of
    classes and values together, skill: 2 roc_auc - 1 or r2, 0 of a guess and 1 of a perfect model.
    Intervals: bootstrap over models and record groups, as wide as few models ask for, and no wider than the metric is.
    """
    values = _values(table, seed=seed, draws=draws)
    return {
        name: _estimate(table, point, spread, level, within=metric(name).bounds)
        for name, (point, spread) in values.items()
    }


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
    """Each metric's mean over models, and its bootstrap draws (b,), aligned between tables of one seed.

    Computed once a table: that of full precision is compared with every quantizer's.
    """
    known: dict[tuple[int, int], dict[str, tuple[float, Floats]]] = vars(table).setdefault("_performance", {})
    if (seed, draws) not in known:  # as a cached property keeps its value
        known[seed, draws] = _drawn_values(table, seed=seed, draws=draws)
    return known[seed, draws]


def _drawn_values(table: LossTable, *, seed: int, draws: int) -> dict[str, tuple[float, Floats]]:
    ways = _resampled(table, seed=seed, draws=draws)
    found = {}
    for name, told in by_model(table, seed=seed, draws=draws).items():
        spread = ways.over_models(told[:, 1:].T)
        found[name] = (float(np.mean(told[:, 0])), spread[np.isfinite(spread)])
    return found


def by_model(table: LossTable, *, seed: int = 0, draws: int = 200) -> dict[str, Floats]:
    """Return each metric of each model, and what becomes of it when records are drawn anew, (s, 1 + draws).

    Draws are the same for whichever of the models there are; NaN where a metric is not defined.

    Raises
    ------
    InvalidInput
        If there are neither outputs nor what they told.
    NotEnoughEvidence
        If a model has no record that did not train it.
    """
    names = METRICS[metrics_of(table)]
    if table.told is not None:
        told = {name: table.told[name] for name in names}
        if (known := next(iter(told.values())).shape[1] - 1) != draws:
            raise InvalidInput(
                f"A table that keeps no outputs holds what they told in {known} draws of the records. Asked for "
                f"{draws}. Evaluate with outputs kept."
            )
        return told
    parts = _parts(table)
    held_out = ~table.members
    if not held_out.any(1).all():
        raise NotEnoughEvidence(
            "performance: every model needs records that did not train it. Model "
            f"{int(np.argmin(held_out.any(1)))} has none. Hold some records out."
        )
    ones, records = np.ones((1, held_out.shape[1])), _resampled(table, seed=seed, draws=draws).records

    def statistic(name: str, model: int, weights: Floats) -> Floats:
        values = [_of_part(part, name, model, weights[:, rows]) for part, rows in parts]
        # A draw may leave one of several tasks without two classes: the mean is then over the others.
        return values[0] if len(values) == 1 else _known_mean(np.stack(values))

    models = range(len(held_out))
    return {
        name: np.stack([np.r_[statistic(name, model, ones), statistic(name, model, records)] for model in models])
        for name in names
    }


def _resampled(table: LossTable, *, seed: int, draws: int) -> TwoWay:
    """Return the draws of models and records that the metrics of an audit share."""
    return TwoWay.draw(len(table.members), table.groups, draws=draws, rng=stream(seed, "performance-intervals"))


def _parts(table: LossTable) -> list[tuple[LossTable, Any]]:
    """Return the tables of single targets and which of the records each is about."""
    several: list[tuple[LossTable, Any]] = [(part, table.rows_of(name)) for name, part in table.by_task.items()]
    parts = several or [(table, slice(None))]
    if any(part.outputs is None or part.targets is None for part, _ in parts):
        raise InvalidInput("performance: the table must hold outputs and targets. Evaluate with outputs kept.")
    return parts


def _of_part(part: LossTable, name: str, model: int, weights: Floats) -> Floats:
    """Return a metric of one target on the records that did not train a model, (b,)."""
    assert part.outputs is not None
    rows, targets = ~part.members[model], np.asarray(part.targets)
    compute = METRICS[part.task].get(name) or SKILL[part.task]
    # A draw of groups may hold none of this model's non-members: undefined, and left out by `ways.mean`.
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        values = compute(part.outputs[model][rows], targets[rows], weights.T[rows].T)
    return np.where(weights[:, rows].any(1), values, np.nan)


def _known_mean(values: Floats) -> Floats:
    """Average (t, b) over the tasks that are known; NaN where none is."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(known, values, 0.0).sum(0) / known.sum(0))


def metrics_of(table: LossTable) -> str:
    """Return whose metrics a table has: of several targets those that all share, or their skill."""
    kinds = {part.task for part in table.by_task.values()} or {table.task}
    return (
        f"several {kinds.pop()}" if table.by_task and len(kinds) == 1 else kinds.pop() if len(kinds) == 1 else "mixed"
    )


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
    near = targets - targets.mean()  # squares of values far from 0 would lose what sets them apart
    mean = weights @ near / total
    around = weights @ near**2 / total - mean**2
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


def _estimate(
    table: LossTable, value: float, draws: Floats, level: float, *, within: tuple[float, float] = (-np.inf, np.inf)
) -> Estimate:
    if np.isnan(value) or len(draws) == 0:
        raise NotEnoughEvidence("A task metric needs held-out records of at least two classes, or values that vary.")
    low, high = (float(np.clip(end, *within)) for end in percentile_interval(draws, level=level))
    n, method = int((~table.members).sum()), "bootstrap over models and records"
    return Estimate.spanning(value, low, high, n, level, "record-model pairs", method)


def _gini(outputs: Floats, targets: Floats, weights: Floats) -> Floats:
    return np.asarray(2 * _roc_auc(outputs, targets, weights) - 1)


METRICS: Mapping[str, Mapping[str, Metric]] = {
    "classification": {"roc_auc": _roc_auc, "accuracy": _accuracy},
    "regression": {"r2": _r2, "rmse": _rmse, "mae": _mae, "spearman": _spearman},
    "several classification": {"roc_auc": _roc_auc, "accuracy": _accuracy},
    "several regression": {"r2": _r2, "spearman": _spearman},
    "mixed": {"skill": _gini},
}
"""By kind of target; of several targets the means over all of them, of values those without a unit."""
SKILL: Mapping[str, Metric] = {"classification": _gini, "regression": _r2}
"""What is 0 of a guess and 1 of a perfect model: twice the ROC AUC less 1 (Gini's coefficient), or R2."""


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
