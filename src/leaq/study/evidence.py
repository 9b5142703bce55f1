"""Cells as arrays: one number a cell and quantizer, with the data set each cell belongs to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from leaq.results import CellResult, QuantizerRow
from leaq.seeds import stream
from leaq.stats.agreement import cluster_means
from leaq.types import AttackResult, Bools, Estimate, Floats

__all__ = ["FULL", "Evidence", "advantage", "collected", "number"]

FULL = "none"
"""The specification of full precision."""
FEWEST_CLUSTERS = 5
"""Data sets below which a bootstrap over them says too little; the cells' own intervals are used instead."""

Number = Callable[[CellResult, QuantizerRow], Estimate | None]


@dataclass(frozen=True)
class Evidence:
    """Numbers of m cells and k quantizers.

    Attributes
    ----------
    quantizers : k specifications.
    values, errors : (m, k) estimates and their standard errors.
    clusters : (m,) the data set of each cell.
    """

    quantizers: tuple[str, ...]
    values: Floats
    errors: Floats
    clusters: tuple[str, ...]

    @property
    def means(self) -> Floats:
        """Mean over data sets of the mean over their cells, (k,)."""
        names = sorted(set(self.clusters))
        held = np.array(self.clusters)
        found: Floats = np.stack([self.values[held == name].mean(0) for name in names]).mean(0)
        return found

    def draws(self, count: int = 2000, seed: int = 0) -> Floats:
        """Resample the means, (b, k): over data sets where there are enough, else from the cells' own errors."""
        rng = stream(seed, "evidence")
        names = sorted(set(self.clusters))
        if len(names) >= FEWEST_CLUSTERS:
            return cluster_means(self.values, self.clusters, draws=count, rng=rng)
        held = np.array(self.clusters)
        # Seeds of one data set share its records: their errors are taken as one, not averaged away.
        errors = np.stack([self.errors[held == name].mean(0) for name in names])
        spread = np.sqrt(np.square(errors).sum(0)) / len(names)
        found: Floats = self.means + rng.normal(size=(count, len(spread))) * spread
        return found

    @property
    def by_data_sets(self) -> bool:
        """Whether intervals rest on the differences between data sets."""
        return len(set(self.clusters)) >= FEWEST_CLUSTERS

    def only(self, keep: Bools) -> "Evidence":
        """Return the evidence of some quantizers."""
        names = tuple(name for name, kept in zip(self.quantizers, keep, strict=True) if kept)
        return Evidence(names, self.values[:, keep], self.errors[:, keep], self.clusters)


def advantage(result: CellResult, row: QuantizerRow) -> Estimate | None:
    """Return the advantage of the attack the cell is judged by."""
    attack = row.attacks.get(result.primary_attack)
    return attack.advantage if isinstance(attack, AttackResult) else None


def number(kind: str, name: str) -> Number:
    """Return a reader of one number, e.g. ``number("measures", "r")``."""

    def read(_result: CellResult, row: QuantizerRow) -> Estimate | None:
        found = getattr(row, kind).get(name)
        return found if isinstance(found, Estimate) else None

    return read


def collected(results: Sequence[CellResult], read: Number, quantizers: Sequence[str]) -> Evidence | None:
    """Gather one number of the cells that hold it, finite, for every one of `quantizers`; None if no cell does."""
    values, errors, clusters = [], [], []
    for result in results:
        rows = {row.quantizer: row for row in result.rows}
        found = [read(result, rows[name]) if name in rows else None for name in quantizers]
        if all(one is not None and np.isfinite(one.value) for one in found):
            values.append([one.value for one in found if one])
            errors.append([_standard_error(one) for one in found if one])
            clusters.append(str(result.data.get("name", "")))
    if not values:
        return None
    return Evidence(tuple(quantizers), np.array(values), np.array(errors), tuple(clusters))


def _standard_error(estimate: Estimate) -> float:
    """Return the standard error an interval stands for, were it normal: its wider side counts."""
    side = max(estimate.high - estimate.value, estimate.value - estimate.low)
    return float(side / stats.norm.ppf((1 + estimate.level) / 2)) if np.isfinite(side) else np.inf
