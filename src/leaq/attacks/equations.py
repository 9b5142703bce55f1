"""Equations that a released file's numbers are about who trained the model, and their joint solution.

See `leaq.attacks.file` for the model behind them: a number is a level, a slope times a sum over the members, and noise.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from leaq.types import Bools, Floats, Ints, LossTable

GROUPS = 8
"""Groups of columns, by their variance in the pool, that slopes and noise are pooled in."""
PRIOR = 8.0
"""Degrees of freedom with which a column's own noise is shrunk to its group's."""
STEPS, TOLERANCE = 400, 1e-6
"""Most steps of the conjugate-gradient solver, and the squared residual it stops at, in parts of the first one."""
SPARSE, SPARSE_FROM = 0.1, 100_000
"""Share of features that are not 0, and their number, below and above which products skip the others."""
CONSTANT = 1e-12
"""Share of a column's squares that rounding may leave of a variance of nothing."""
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


class Design:
    """What numbers are sums over: (n, m) features of the pool's records, centred.

    Where most features are 0, products skip them: of a fingerprint all but one in thirty or so.
    """

    def __init__(self, features: Any) -> None:
        mostly = isinstance(features, np.ndarray) and features.size > SPARSE_FROM
        if mostly and np.count_nonzero(features) < SPARSE * features.size:
            from scipy.sparse import csr_array

            features = csr_array(features)
        self._sparse = None if isinstance(features, np.ndarray) else features
        self._mean = features.mean(0) if self._sparse is None else features.sum(0) / features.shape[0]
        if self._sparse is None:
            self._values = np.asarray(features - self._mean)

    def times(self, factors: Floats, features: Floats) -> "Design":
        """Return the design of the same `features`, those of each record times its factor (n,)."""
        if self._sparse is None:
            return Design(features * factors[:, None])
        scaled = self._sparse.copy()
        scaled.data *= np.repeat(factors, np.diff(scaled.indptr))
        return Design(scaled)

    @cached_property
    def weight(self) -> Floats:
        """Variance of the sum over members drawn at random, (m,)."""
        if self._sparse is None:
            return np.asarray((self._values**2).sum(0) / COIN)
        square = self._sparse.copy()
        square.data **= 2
        whole = np.asarray(square.sum(0))
        left = whole - self._sparse.shape[0] * self._mean**2
        return np.asarray(np.where(left > CONSTANT * whole, left, 0.0) / COIN)

    def sums(self, records: Floats) -> Floats:
        """Return what records (t, n) add up to, (t, m)."""
        if self._sparse is None:
            return np.asarray(records @ self._values)
        return np.asarray((self._sparse.T @ records.T).T - np.outer(records.sum(1), self._mean))

    def records(self, sums: Floats) -> Floats:
        """Return the transposed product with (t, m), (t, n)."""
        if self._sparse is None:
            return np.asarray(sums @ self._values.T)
        return np.asarray((self._sparse @ sums.T).T - (sums @ self._mean)[:, None])


class _Block:
    """Numbers (s, m) of all models, what the design adds up to in each, and the columns (m,) that tell something."""

    def __init__(self, numbers: Floats, design: Design, counts: Floats, kept: Bools) -> None:
        self.design, self.kept = design, kept
        self._numbers = numbers[:, kept]
        self._counts = counts[:, kept]
        self._weight = design.weight[kept]
        self._group = _groups(self._weight)

    def equations(self, others: Sequence[int]) -> tuple[Floats, Floats, Floats]:
        """Return what targets' numbers are taken from, their slopes by the sums, and the noise, (m,) each.

        Learned on the models `others`.
        """
        there, counts = self._numbers[others], self._counts[others]  # (o, m)
        level, middle = there.mean(0), counts.mean(0)
        slope, doubt, noise = _slopes(there - level, counts - middle, self._group)
        noise = noise * (1 + 1 / len(others)) + doubt * self._weight
        spread = np.sqrt(np.maximum(noise, np.maximum(PRECISION**2 * slope**2 * self._weight, 1e-300)))
        return level - slope * middle, slope, spread

    def of(self, targets: Sequence[int], others: Sequence[int]) -> tuple[Floats, Floats]:
        """Return the targets' numbers (t, m) and their slopes by the sums (m,), both in units of the noise."""
        level, slope, spread = self.equations(others)
        return (self._numbers[list(targets)] - level) / spread, slope / spread


def _groups(weight: Floats) -> Ints:
    """Put columns into `GROUPS` equally large groups by their weight, (m,); of equal weights the first comes first."""
    # Rounded: columns set by as many records weigh the same, in whatever order a processor added them up.
    rank = np.argsort(np.argsort(np.round(np.log(weight), 9), kind="stable"), kind="stable")
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


class Equations:
    """All numbers of the files that are sums over the members, and their joint solution.

    Parameters
    ----------
    numbers : by kind, (s, m); kinds without an order of their own (not in `DESIGNS`) are left out.
    features : (n, d) of the pool.
    """

    def __init__(self, numbers: Mapping[str, Floats], features: Floats, table: LossTable) -> None:
        self._records = table.members.shape[1]
        self._blocks = list(_blocks(numbers, features, table))

    def log_ratios(self, targets: Sequence[int], others: Sequence[tuple[int, ...]]) -> Floats:
        """Return the log-likelihood ratio of each record from all equations of each target together, (t, n).

        Parameters
        ----------
        others : the shadows of each target, from which levels, slopes and noise are learned.
        """
        shape = (len(targets), self._records)
        systems: dict[int, tuple[Design, Floats, Floats]] = {}
        for block in self._blocks:
            # Numbers that are sums of the same features share one design: their precisions add up.
            empty = np.zeros((len(targets), len(block.kept)))
            _, weighted, precision = systems.setdefault(id(block.design), (block.design, empty, empty.copy()))
            for shadows in dict.fromkeys(others):  # a target and its complement have the same ones
                rows = [row for row, mine in enumerate(others) if mine == shadows]
                number, slope = block.of([targets[row] for row in rows], list(shadows))
                cells = np.ix_(np.array(rows), np.flatnonzero(block.kept))
                weighted[cells] += number * slope
                precision[cells] += slope**2
        if not systems:
            return np.zeros(shape)

        def normal(records: Floats) -> Floats:
            """(4 + B B^T) v."""
            explained = sum(one.records(one.sums(records) * precision) for one, _, precision in systems.values())
            return np.asarray(COIN * records + explained)

        right = np.asarray(sum(one.records(weighted) for one, weighted, _ in systems.values()))
        return COIN * conjugate_gradients(normal, right)


def _blocks(numbers: Mapping[str, Floats], features: Floats, table: LossTable) -> Iterator[_Block]:
    """Yield every kind of ordered numbers with its designs: which columns tell something, and the equations.

    Columns that are equal in all models tell nothing.
    """
    made: dict[str, tuple[Design, Floats] | None] = {}
    for kind, values in _ordered(numbers):
        varies = np.ptp(values, axis=0) > ROUNDING * np.abs(values).max(0)
        if kind == "scaler.square":
            varies = varies & ~((features == 0) | (features == 1)).all(0)  # the square of a bit is the bit
        for name in DESIGNS[kind] if varies.any() else ():
            if name not in made:
                plain = made.get("feature")
                design = _design(name, features, table, None if plain is None else plain[0])
                made[name] = None if design is None else (design, design.sums(table.members - 0.5))
            known = made[name]
            if known is None:
                continue
            design, counts = known
            kept = varies & (design.weight > 0)
            if kept.any():
                yield _Block(values, design, counts, kept)


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


def _design(name: str, features: Floats, table: LossTable, plain: Design | None) -> Design | None:
    """Return one design (n, m) over the pool, made from that of plain features where there is one; None if none is."""
    targets = None if table.targets is None else np.asarray(table.targets, np.float64)[:, None]
    if name == "feature":
        return Design(features)
    if name == "square":
        return Design(features**2)
    if targets is None or (table.task == "classification" and targets.max() > 1):
        return None
    if name == "signed":
        factors = (targets - targets.mean()) / (targets.std() or 1.0)
        return Design(features * factors) if plain is None else plain.times(factors[:, 0], features)
    return Design(targets if name == "target" else targets**2)


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
