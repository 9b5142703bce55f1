"""Simple indicators, which any new one has to beat: output distortion, output correlation, the loss gap and its tail.

None is an attack. The first two do not even look at who trained on what; the loss-threshold attack, the simplest one
that does, is in `leaq.attacks.threshold`.
"""

from dataclasses import replace

import numpy as np

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.seeds import stream
from leaq.stats.intervals import TwoWay, percentile_interval
from leaq.types import Bools, Estimate, Flag, Floats, Ints, LossTable

MOVES, FOLLOWED = "moves", "followed"
"""Names under which a table that keeps no outputs holds `relative_moves` and `correlations`."""
MISSED = 0.01
"""Share of members that the attack behind `loss_tnr` lets go."""


def distortion(
    table: LossTable, reference: LossTable, *, level: float = 0.95, seed: int = 0, draws: int = 200
) -> Estimate:
    """Tell how far quantization moved the outputs: mean squared change over the variance of the originals.

    Direction: larger usually means less leak and less accuracy. Range: [0, inf); 0 = unchanged.
    Interval: bootstrap over models and record groups.
    Do not trust when: flagged constant-outputs; as a measure of privacy, as it does not look at membership.

    Raises
    ------
    InvalidInput
        If a table holds no outputs, or they do not belong together.
    NotEnoughEvidence
        If every original model gives one output for all records.
    """
    relative = relative_moves(table, reference)
    usable = _varied(np.asarray(np.isfinite(relative).all(1)), "distortion")
    relative = relative[usable]
    ways = TwoWay.draw(len(relative), table.groups, draws=draws, rng=stream(seed, "indicator-intervals"))
    resampled = ways.mean(lambda model, w: np.asarray(w @ relative[model] / w.sum(1)))
    return _estimate(table, float(relative.mean()), resampled, level).flagged(*_left_out(usable))


def correlation(
    table: LossTable, reference: LossTable, *, level: float = 0.95, seed: int = 0, draws: int = 200
) -> Estimate:
    """Tell how well quantized outputs still follow the original ones: their correlation, mean over models.

    Direction: larger usually means more leak and less loss of accuracy. Range: [-1, 1]; 1 = the same up to scale and
    shift, so that a quantizer that only shrinks all outputs is forgiven, which `distortion` does not.
    Interval: bootstrap over models and record groups.
    Do not trust when: flagged constant-outputs; as a measure of privacy, as it does not look at membership.

    Raises
    ------
    InvalidInput, NotEnoughEvidence
        As `distortion`; a quantized model that gives one output for all records counts as 0.
    """
    told = correlations(table, reference, seed=seed, draws=draws)
    usable = _varied(np.asarray(np.isfinite(told).all(1)), "correlation")
    told = told[usable]
    ways = TwoWay.draw(len(told), table.groups, draws=draws, rng=stream(seed, "indicator-intervals"))
    resampled = ways.over_models(told[:, 1:].T)
    return _estimate(table, float(np.mean(told[:, 0])), resampled, level).flagged(*_left_out(usable))


def relative_moves(table: LossTable, reference: LossTable) -> Floats:
    """Return how far quantization moved each record's outputs, in parts of the originals' variance, (s, n).

    NaN for a model that gives one output for all records.
    """
    if table.told is not None and MOVES in table.told:
        return table.told[MOVES]
    after, before = _outputs(table, reference, "distortion")
    spread = ((before - before.mean(1, keepdims=True)) ** 2).mean((1, 2))[:, None]
    moved = ((after - before) ** 2).mean(2)
    return np.where(spread > 0, moved / np.where(spread > 0, spread, 1.0), np.nan)


def correlations(table: LossTable, reference: LossTable, *, seed: int = 0, draws: int = 200) -> Floats:
    """Return each model's correlation of outputs after and before, and in each draw of the records, (s, 1 + draws).

    NaN for a model that gives one output for all records.
    """
    if table.told is not None and FOLLOWED in table.told:
        return table.told[FOLLOWED]
    after, before = _outputs(table, reference, "correlation")
    records = TwoWay.draw(1, table.groups, draws=draws, rng=stream(seed, "indicator-intervals")).records
    one, found = np.ones((1, after.shape[1])), np.full((len(after), 1 + draws), np.nan)
    for model in np.flatnonzero(np.ptp(before, axis=1).max(1) > 0):
        found[model] = np.r_[*(_correlations(after[model], before[model], weights) for weights in (one, records))]
    return found


def _correlations(after: Floats, before: Floats, weights: Floats) -> Floats:
    """Weighted correlation over records and outputs, (n, k), (n, k), (b, n) -> (b,); 0 where `after` is constant."""
    k = after.shape[1]
    total = weights.sum(1) * k
    x, y = after - after.mean(), before - before.mean()  # near 0, so that squares lose no digits
    mean_x, mean_y = weights @ x.sum(1) / total, weights @ y.sum(1) / total
    xx = weights @ (x**2).sum(1) / total - mean_x**2
    yy = weights @ (y**2).sum(1) / total - mean_y**2
    xy = weights @ (x * y).sum(1) / total - mean_x * mean_y
    tiny = 1e-14 * np.array([max((x**2).max(), 1e-300), max((y**2).max(), 1e-300)])
    flat = (xx <= tiny[0]) | (yy <= tiny[1])
    found = np.where(flat, 0.0, xy / np.sqrt(np.where(flat, 1.0, xx * yy)))
    return np.asarray(np.clip(found, -1.0, 1.0))  # rounding alone takes it beyond


def _outputs(table: LossTable, reference: LossTable, what: str) -> tuple[Floats, Floats]:
    """Return outputs after and before (s, n, k), the mean logit taken off: a constant added to all changes nothing."""
    if table.outputs is None or reference.outputs is None:
        raise InvalidInput(f"{what}: both tables must hold outputs.")
    after, before = table.outputs, reference.outputs
    if after.shape != before.shape:
        raise InvalidInput(
            f"{what}: both tables must hold the same models, records and outputs. Found {after.shape} and "
            f"{before.shape}."
        )
    if not (np.isfinite(after).all() and np.isfinite(before).all()):
        bad = int((~np.isfinite(after)).sum() + (~np.isfinite(before)).sum())
        raise InvalidInput(f"{what}: outputs must be finite. Found {bad} NaN or infinite ones.")
    if table.task == "classification":
        after, before = after - after.mean(2, keepdims=True), before - before.mean(2, keepdims=True)
    return after, before


def _varied(usable: Bools, what: str) -> Bools:
    if not usable.any():
        raise NotEnoughEvidence(
            f"{what} is relative to the spread of the original outputs. Every model gives one output for all records. "
            "Train longer."
        )
    return np.asarray(usable)


def _left_out(usable: Bools) -> tuple[Flag, ...]:
    if usable.all():
        return ()
    text = f"{int((~usable).sum())} of {len(usable)} models give one output for all records; they are left out."
    return (Flag("constant-outputs", text),)


def loss_gap(table: LossTable, *, level: float = 0.95, seed: int = 0, draws: int = 200) -> Estimate:
    """Tell how much worse released models do on records that did not train them: mean loss outside minus inside.

    Direction: smaller is safer; about 0 for a model that did not overfit. Range: (-inf, inf).

    Raises
    ------
    NotEnoughEvidence
        If a model has no members or no non-members among the records.
    """
    losses, members = table.released, table.members
    _refuse_one_sided(members, "loss_gap")
    ways = TwoWay.draw(len(losses), table.groups, draws=draws, rng=stream(seed, "indicator-intervals"))

    def statistic(model: int, weights: Floats) -> Floats:
        inside, outside = members[model], ~members[model]
        row = losses[model]
        with np.errstate(invalid="ignore", divide="ignore"):
            mean_out = weights @ (row * outside) / (weights @ outside)
            return np.asarray(mean_out - weights @ (row * inside) / (weights @ inside))

    value = float(np.mean([statistic(model, np.ones((1, losses.shape[1])))[0] for model in range(len(losses))]))
    return _estimate(table, value, ways.mean(statistic), level)


def loss_tnr(table: LossTable, *, level: float = 0.95, seed: int = 0, draws: int = 200) -> Estimate:
    """Tell which share of the others a loss attack clears that lets 1 % of the members go, mean over models.

    That is the share of non-members whose loss lies above that of 99 % of the members: members have left the tail of
    large losses. A published estimate of how vulnerable a model is that needs no other model; docs/fidelity.md compares
    it. Direction: smaller is safer; 0.01 where losses of members and others are alike. Range: [0, 1].
    Interval: bootstrap over models and record groups. Do not trust when: flagged few-members; members and others differ
    in more than membership.

    Source: arXiv 2510.19773v1 (The Tail Tells All).

    Raises
    ------
    NotEnoughEvidence
        If a model has no members or no non-members among the records.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> found = loss_tnr(LossTable.from_losses(rng.uniform(0, 1, 300), rng.uniform(0, 2, 300)))
    >>> found.low < 0.5 < found.high
    True
    """
    losses, members = table.released, table.members
    _refuse_one_sided(members, "loss_tnr")
    ways = TwoWay.draw(len(losses), table.groups, draws=draws, rng=stream(seed, "indicator-intervals"))
    sides = [(_ascending(row, inside), _ascending(row, ~inside)) for row, inside in zip(losses, members, strict=True)]

    def statistic(model: int, weights: Floats) -> Floats:
        inside, outside = sides[model]
        summed = np.cumsum(weights[:, inside], axis=1)
        last = (summed < (1 - MISSED) * summed[:, -1:]).sum(1)  # the first member that 99 % do not lie above
        above = np.searchsorted(losses[model, outside], losses[model, inside[last]], side="right")
        cleared = np.cumsum(np.pad(weights[:, outside], ((0, 0), (1, 0))), axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(1 - cleared[np.arange(len(weights)), above] / cleared[:, -1])

    value = float(np.mean([statistic(model, np.ones((1, losses.shape[1])))[0] for model in range(len(losses))]))
    fewest = int(members.sum(1).min())
    text = f"A share of {MISSED:.0%} of {fewest} members is less than one: the tail is that of a single record."
    flags = (Flag("few-members", text),) if MISSED * fewest < 1 else ()
    found = _estimate(table, value, ways.mean(statistic), level).flagged(*flags)
    return replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0))


def _ascending(losses: Floats, which: Bools) -> Ints:
    """Return the places of some losses, smallest first."""
    places = np.flatnonzero(which)
    return np.asarray(places[np.argsort(losses[places], kind="stable")])


def _refuse_one_sided(members: Bools, what: str) -> None:
    one_sided = members.all(1) | ~members.any(1)
    if one_sided.any():
        raise NotEnoughEvidence(
            f"{what}: every model needs members and non-members among the records. "
            f"Found only one kind for model {int(np.argmax(one_sided))}."
        )


def _estimate(table: LossTable, value: float, draws: Floats, level: float) -> Estimate:
    low, high = percentile_interval(draws, level=level)
    method = "bootstrap over models and records"
    return Estimate.spanning(value, low, high, table.members.size, level, "record-model pairs", method)
