"""Cells as arrays: one number a cell and quantizer, with the data set each cell belongs to."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from leaq.decisions.standing import leak
from leaq.lazy import special
from leaq.results import CellResult, QuantizerRow
from leaq.seeds import stream
from leaq.stats.intervals import few_means_widening, mean_interval
from leaq.stats.ranks import cluster_means
from leaq.types import Bools, Estimate, Floats

FULL = "none"
"""The specification of full precision."""
LISTED = 100
"""Cells of a study that a page draws and lists one by one; its tables over all cells know no limit."""
THOUSAND, FEW = 1000, 20
"""Of more cells than the first a page lists the second: nobody looks for one of thousands among pictures."""
FEWEST_CLUSTERS = 5
"""Data sets below which a bootstrap over them says too little; the cells' own intervals are used instead."""


def comparable(results: Sequence[CellResult]) -> dict[str, list[CellResult]]:
    """Return cells by what their leaks and metrics mean, under the task's name: only alike ones may be averaged.

    Within a task cells differ by the attack that leads (of few models or a finished one the loss threshold's, which
    finds less), the game and the metric; their groups say which attack leads.
    """
    found: dict[tuple[str, ...], list[CellResult]] = {}
    for one in results:
        game = str(one.data.get("game", ""))
        meant = (game if game in ("calibration", "series") else "pool", one.primary_attack, one.primary_metric)
        found.setdefault((str(one.data.get("task", "")), *meant), []).append(one)
    tasks = Counter(key[0] for key in found)
    named: dict[str, list[CellResult]] = {}
    for key, cells in sorted(found.items(), key=lambda item: item[0]):
        task, game, attack, value = key
        others = [one[1:] for one in found if one[0] == task]
        differ = [part for at, part in enumerate((game, attack, value)) if len({one[at] for one in others}) > 1]
        named[f"{task} ({', '.join(differ)})" if tasks[task] > 1 else task] = cells
    return named


Number = Callable[[CellResult, QuantizerRow], Estimate | None]


@dataclass(frozen=True)
class Evidence:
    """Numbers of m cells and k quantizers.

    Attributes
    ----------
    quantizers : k specifications.
    values : (m, k) estimates.
    covariances : (m, k, k) of the estimates within each cell, whose rows share models and records.
    clusters : (m,) the data set of each cell.
    """

    quantizers: tuple[str, ...]
    values: Floats
    covariances: Floats
    clusters: tuple[str, ...]

    @property
    def means(self) -> Floats:
        """Mean over data sets of the mean over their cells, (k,)."""
        names = sorted(set(self.clusters))
        held = np.array(self.clusters)
        found: Floats = np.stack([self.values[held == name].mean(0) for name in names]).mean(0)
        return found

    def draws(self, count: int = 2000, seed: int = 0) -> Floats:
        """Resample the means, (b, k): over data sets where there are enough, else from the cells' own errors.

        Resamples of a handful of data sets lie too close together; they are widened to what Student's t asks for.
        """
        rng = stream(seed, "evidence")
        names = sorted(set(self.clusters))
        if len(names) >= FEWEST_CLUSTERS:
            drawn = cluster_means(self.values, self.clusters, draws=count, rng=rng)
            wider: Floats = self.means + (drawn - self.means) * few_means_widening(len(names))
            return wider
        held = np.array(self.clusters)
        # Seeds of one data set share its records: their errors are taken as one, not averaged away.
        shared = np.stack([self.covariances[held == name].mean(0) for name in names]).sum(0) / len(names) ** 2
        return self.means + _normal(shared, count, rng)

    def only(self, keep: Bools) -> "Evidence":
        """Return the evidence of some quantizers."""
        names = tuple(name for name, kept in zip(self.quantizers, keep, strict=True) if kept)
        return Evidence(names, self.values[:, keep], self.covariances[:, keep][:, :, keep], self.clusters)


def _normal(covariance: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Draw normal deviations (b, k) of this covariance; what is known to no precision deviates without limit."""
    known = np.isfinite(np.diag(covariance))
    drawn = rng.normal(size=(count, len(known)))
    size, axes = np.linalg.eigh(covariance[np.ix_(known, known)])
    found: Floats = np.where(drawn < 0, -np.inf, np.inf)
    found[:, known] = (drawn[:, known] * np.sqrt(np.maximum(size, 0.0))) @ axes.T
    return found


def over_data_sets(values: Sequence[float] | Floats, clusters: Sequence[str]) -> Estimate | None:
    """Return the mean over data sets of one number a cell; None where no number is finite.

    Interval: Student's t over the data sets' means, n of them: cells of one data set share its records and are no
    independent evidence. One data set alone has no spread to judge by: its interval is infinite, never narrow.
    """
    centres = data_set_means(values, clusters)
    if not len(centres):
        return None
    value = float(centres.mean())
    if len(centres) < 2:
        return Estimate(value, -np.inf, np.inf, 1, unit="data sets", method="one data set: no interval")
    low, high = mean_interval(centres)
    return Estimate(value, low, high, len(centres), unit="data sets", method="Student's t over data sets")


def data_set_means(values: Sequence[float] | Floats, clusters: Sequence[str]) -> Floats:
    """Return one mean a data set, of those of its cells that hold a finite number."""
    array, names = np.asarray(values, float), np.asarray(clusters)
    kept = np.isfinite(array)
    found: Floats = np.array([array[kept & (names == name)].mean() for name in np.unique(names[kept])])
    return found


def in_order(results: Iterable[CellResult]) -> list[CellResult]:
    """Return cells by data set, embedder, head and seed: files are named by digests, whose order says nothing."""

    def place(cell: CellResult) -> tuple[Any, ...]:
        training = cell.config.get("training") or {}
        head = (tuple(training.get("hidden", ())), int(training.get("epochs", 0)), repr(sorted(training.items())))
        data = (cell.name, str(cell.config.get("target")))
        return data, str(cell.config.get("embedder")), head, cell.config.get("seed", 0)

    return sorted(results, key=place)


def listed(cells: Sequence[CellResult]) -> list[CellResult]:
    """Return the cells that a page lists one by one, in their order: all, or of many those that leak most."""

    def height(at: int) -> float:
        rows = {row.quantizer: row for row in cells[at].rows}
        found = leak(cells[at], rows[FULL]) if FULL in rows else None
        return found.value if found else float("-inf")

    most = sorted(range(len(cells)), key=height, reverse=True)[: LISTED if len(cells) <= THOUSAND else FEW]
    return [cells[at] for at in sorted(most)]


def number(kind: str, name: str) -> Number:
    """Return a reader of one number, e.g. ``number("measures", "r")``."""

    def read(_result: CellResult, row: QuantizerRow) -> Estimate | None:
        found = getattr(row, kind).get(name)
        return found if isinstance(found, Estimate) else None

    return read


def collected(results: Sequence[CellResult], read: Number, quantizers: Sequence[str]) -> Evidence | None:
    """Gather one number of the cells that hold it, finite, for every one of `quantizers`; None if no cell does.

    Leaks that a cell compares bring their covariance, so that their differences are the paired ones.
    """
    values, covariances, clusters = [], [], []
    for result in results:
        rows = {row.quantizer: row for row in result.rows}
        found = [read(result, rows[name]) if name in rows else None for name in quantizers]
        if all(one is not None and np.isfinite(one.value) for one in found):
            values.append([one.value for one in found if one])
            covariances.append(_covariance(result, quantizers, [one for one in found if one], paired=read is leak))
            clusters.append(result.name)
    if not values:
        return None
    return Evidence(tuple(quantizers), np.array(values), np.array(covariances), tuple(clusters))


def _covariance(result: CellResult, quantizers: Sequence[str], found: Sequence[Estimate], *, paired: bool) -> Floats:
    """Return (k, k): from the cell's own comparison where it has one, else as if nothing were shared."""
    known = result.comparison if paired else None
    if known is None or not set(quantizers) <= set(known.quantizers):
        # The standard error an interval stands for, were it normal: its wider side counts.
        sides = np.array([max(one.high - one.value, one.value - one.low) for one in found])
        errors = np.where(np.isfinite(sides), sides / special.ndtri([(1 + one.level) / 2 for one in found]), np.inf)
        return np.asarray(np.diag(errors**2))
    place = [known.quantizers.index(name) for name in quantizers]
    squares = np.array(known.errors)[np.ix_(place, place)] ** 2  # of the differences, and of each on the diagonal
    own = np.diag(squares)
    shared: Floats = (own[:, None] + own - squares) / 2
    np.fill_diagonal(shared, own)
    return shared
