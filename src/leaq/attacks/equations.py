"""Equations that a released file's numbers are about who trained the model, and their joint solution.

See `leaq.attacks.file` for the model behind them: a number is a level, a slope times a sum over the members, and noise.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from leaq.types import Bools, Floats, Ints, LossTable

__all__ = ["DESIGNS", "PRECISION", "ROUNDING", "conjugate_gradients", "log_ratios"]

GROUPS = 8
"""Groups of columns, by their variance in the pool, that slopes and noise are pooled in."""
PRIOR = 8.0
"""Degrees of freedom with which a column's own noise is shrunk to its group's."""
STEPS, TOLERANCE = 400, 1e-6
"""Most steps of the conjugate-gradient solver, and the squared residual it stops at, in parts of the first one."""
COIN = 4.0
"""Precision of a fair coin."""
PRECISION = 1e-5
"""Noise of a published number, in parts of its spread over models, below which none is believed (float32 and more)."""
ROUNDING = 1e-6
"""Numbers that differ between models by a smaller part of themselves are equal but for the order of additions."""

DESIGNS: Mapping[str, tuple[str, ...]] = {
    "scaler.mean": ("feature",),
    "scaler.square": ("square",),
    "target.mean": ("target",),
    "target.square": ("target square",),
    "columns.mean": ("feature", "signed"),
    "columns.power": ("feature", "signed"),
    "columns.mask": ("feature", "signed"),
}
"""What each kind of number is a sum of, over the members: features of a record, or these times its target."""


@dataclass(frozen=True)
class _Block:
    """Numbers (s, m) of all models, and the design (n, m), centred, that they are sums over."""

    numbers: Floats
    design: Floats
    members: Bools
    whole: Floats
    """The design with the columns that tell nothing, too."""

    def equations(self, target: int, others: Sequence[int]) -> tuple[Floats, Floats]:
        """Return the target's numbers and their slopes by the sums, both in units of the noise, (m,) each."""
        there, counts = self.numbers[others], (self.members[others] - 0.5) @ self.design  # (o, m)
        level, middle = there.mean(0), counts.mean(0)
        weight = (self.design**2).sum(0) / COIN  # variance of the sum over members drawn at random
        slope, doubt, noise = _slopes(there - level, counts - middle, _groups(weight))
        noise = noise * (1 + 1 / len(others)) + doubt * weight
        spread = np.sqrt(np.maximum(noise, np.maximum(PRECISION**2 * slope**2 * weight, 1e-300)))
        return (self.numbers[target] - level + slope * middle) / spread, slope / spread


def _groups(weight: Floats) -> Ints:
    """Put columns into `GROUPS` equally large groups by their weight, (m,)."""
    rank = np.argsort(np.argsort(weight, kind="stable"), kind="stable")
    return np.asarray(rank * min(GROUPS, len(weight)) // len(weight))


def _slopes(numbers: Floats, counts: Floats, group: Ints) -> tuple[Floats, Floats, Floats]:
    """Return each column's slope of numbers by counts (o, m), its variance, and the noise about it: (m,) each.

    Slopes of a group are drawn about a common one, by how much more they differ than their noise explains.
    """
    square, product, total = (counts**2).sum(0), (counts * numbers).sum(0), (numbers**2).sum(0)
    freedom = max(1, len(numbers) - 2)

    def pooled(values: Floats) -> Floats:
        return np.asarray(np.bincount(group, values)[group])

    tiny = 1e-300
    common = pooled(product) / np.maximum(pooled(square), tiny)
    left = np.maximum(total - product**2 / np.maximum(square, tiny), 0.0)
    noise = pooled(left) / (pooled(np.ones(len(group))) * freedom)
    beyond = pooled((product - common * square) ** 2 - square * noise) / np.maximum(pooled(square**2), tiny)
    beyond = np.maximum(beyond, 0.0)
    trust = beyond * square / np.maximum(noise + beyond * square, tiny)  # 0: the group's slope, 1: the column's own
    slope = common + trust * (product / np.maximum(square, tiny) - common)
    doubt = beyond * (1 - trust)
    about = np.maximum(total - 2 * slope * product + slope**2 * square, 0.0)
    return slope, doubt, (about + PRIOR * noise) / (freedom + PRIOR)


def _blocks(numbers: Mapping[str, Floats], features: Floats, table: LossTable) -> Iterator[tuple[str, Bools, _Block]]:
    """Yield every kind of ordered numbers with its designs: their name, which columns tell something, the equations.

    Columns that are equal in all models tell nothing.
    """
    made: dict[str, Floats] = {}
    for kind, values in _ordered(numbers):
        varies = np.ptp(values, axis=0) > ROUNDING * np.abs(values).max(0)
        if kind == "scaler.square":
            varies = varies & ~((features == 0) | (features == 1)).all(0)  # the square of a bit is the bit
        for name in DESIGNS[kind]:
            design = made.get(name)
            if design is None:
                design = made[name] = _design(name, features, table)
            kept = varies & design.any(0) if design.size else np.zeros_like(varies)
            if kept.any():
                yield name, kept, _Block(values[:, kept], design[:, kept], table.members, design)


def _ordered(numbers: Mapping[str, Floats]) -> Iterator[tuple[str, Floats]]:
    """Yield the kinds that have a number a feature (or a target), as sums: scales become mean squares."""
    for part in ("scaler", "target"):
        mean, scale = numbers.get(f"{part}.mean"), numbers.get(f"{part}.scale")
        if mean is not None:
            yield f"{part}.mean", mean
        if mean is not None and scale is not None:
            yield f"{part}.square", scale**2 + mean**2
    for kind in ("columns.mean", "columns.power", "columns.mask"):
        if kind in numbers:
            yield kind, _standard(numbers[kind], logs=kind == "columns.power")


def _design(name: str, features: Floats, table: LossTable) -> Floats:
    """Return one design (n, m), centred over the pool; empty where the task has none."""
    targets = None if table.targets is None else np.asarray(table.targets, np.float64)[:, None]
    if name == "feature":
        design = features
    elif name == "square":
        design = features**2
    elif targets is None or (table.task == "classification" and targets.max() > 1):
        return np.empty((len(features), 0))
    elif name == "signed":
        design = features * ((targets - targets.mean()) / (targets.std() or 1.0))
    else:
        design = targets if name == "target" else targets**2
    return np.asarray(design - design.mean(0))


def _standard(values: Floats, *, logs: bool) -> Floats:
    """Take out what all columns of one model share: its training length, its scale, its quantizer; zeros if no more."""
    size = np.abs(values).mean(1, keepdims=True)
    centred = values - values.mean(1, keepdims=True)
    spread = centred.std(1, keepdims=True)
    told = spread > ROUNDING * size
    if logs:
        floored = np.log(values / np.where(size > 0, size, 1.0) + 1e-3)
        centred = floored - floored.mean(1, keepdims=True)
        spread = centred.std(1, keepdims=True)
    return np.asarray(np.where(told, centred / np.where(told, spread, 1.0), 0.0))


def log_ratios(
    numbers: Mapping[str, Floats],
    features: Floats,
    table: LossTable,
    *,
    chosen: Sequence[int],
    others: Sequence[Sequence[int]],
) -> Floats:
    """Return the log-likelihood ratio of each record from all equations of each target together, (t, n).

    Parameters
    ----------
    numbers : by kind, (s, m); kinds without an order of their own (not in `DESIGNS`) are left out.
    others : the shadows of each target, from which levels, slopes and noise are learned.
    """
    systems: dict[str, tuple[Floats, Floats, Floats]] = {}
    for name, kept, block in _blocks(numbers, features, table):
        found = [block.equations(t, o) for t, o in zip(chosen, others, strict=True)]
        number, slope = (np.stack(part) for part in zip(*found, strict=True))  # (t, m) each
        if name not in systems:
            empty = np.zeros((len(chosen), len(kept)))
            systems[name] = (block.whole, empty, empty.copy())
        # Numbers that are sums of the same features share one design: their precisions add up.
        systems[name][1][:, kept] += number * slope
        systems[name][2][:, kept] += slope**2
    if not systems:
        return np.zeros((len(chosen), table.members.shape[1]))

    def normal(records: Floats) -> Floats:
        """(4 + B B^T) v."""
        explained = sum(((records @ design) * precision) @ design.T for design, _, precision in systems.values())
        return np.asarray(COIN * records + explained)

    right = np.asarray(sum(weighted @ design.T for design, weighted, _ in systems.values()))
    return COIN * conjugate_gradients(normal, right)


def conjugate_gradients(normal: Callable[[Floats], Floats], right: Floats) -> Floats:
    """Solve a positive definite system for several right-hand sides (t, n) at once; stopping early regularises."""
    found, left = np.zeros_like(right), right.copy()
    step, size = left.copy(), (left**2).sum(1, keepdims=True)
    enough = TOLERANCE * size
    for _ in range(STEPS):
        going = size > enough
        if not going.any():
            break
        image = normal(step)
        # Each target stops when it is done itself: its scores do not depend on who else is attacked.
        along = np.where(going, size / np.maximum((step * image).sum(1, keepdims=True), 1e-300), 0.0)
        found += along * step
        left -= along * image
        after = (left**2).sum(1, keepdims=True)
        step = left + after / np.maximum(size, 1e-300) * step
        size = after
    return found
