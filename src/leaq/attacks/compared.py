"""Which rows of an audit leak more than others: paired differences, since all rows share models and records.

Two quantizers are judged by the same attack on the same models and records, and their resamples are the same draws. So
the difference of their leaks is far better known than either leak, and two intervals that overlap say little about it.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from leaq.results import CellResult, Comparison, QuantizerRow
from leaq.stats.selection import Differences, all_differences
from leaq.types import AttackResult, Estimate, Floats

__all__ = ["with_comparison"]

METHOD = "paired over models and records; max-t over all pairs of rows"
FULL = ("none", "identity")


def with_comparison(result: CellResult) -> CellResult:
    """Return an audit with its rows compared: `CellResult.comparison`, "leak_vs_full" and "leak_vs_least" in each row.

    Direction: a positive difference leaks more than full precision, or than the row that leaks least and still predicts
    something. Range: [-2, 2]. Interval: of the paired difference, for all pairs of rows at once, so that the winner's
    luck and the choice of what to look at are paid for. Do not read an interval that holds 0 as equality: this audit
    does not tell the two apart.

    Rows whose primary attack left no draws (read from a file, trained apart) are not compared.
    """
    found = [(row, attack) for row in result.rows if (attack := _drawn(result, row)) is not None]
    if len(found) < 2 or len({len(_draws(attack)) for _, attack in found}) > 1:
        return result
    values = np.array([attack.advantage.value for _, attack in found])
    draws = np.stack([_draws(attack) for _, attack in found], axis=1)
    usable = np.isfinite(draws).all(1)
    if usable.sum() < 2:
        return result
    differences = all_differences(values, draws[usable], level=found[0][1].advantage.level)
    specs = tuple(row.quantizer for row, _ in found)
    table = _Table([row for row, _ in found], [attack.advantage for _, attack in found], differences)
    covariance = tuple(tuple(float(value) for value in line) for line in differences.covariance)
    rows = tuple(table.beside(row) for row in result.rows)
    return replace(result, rows=rows, comparison=Comparison(specs, covariance, differences.factor))


def _drawn(result: CellResult, row: QuantizerRow) -> AttackResult | None:
    attack = row.attacks.get(result.primary_attack)
    return attack if isinstance(attack, AttackResult) and attack.draws is not None else None


def _draws(attack: AttackResult) -> Floats:
    return np.empty(0) if attack.draws is None else attack.draws


class _Table:
    """The compared rows, and the two that others are compared with."""

    def __init__(self, rows: Sequence[QuantizerRow], leaks: Sequence[Estimate], differences: Differences) -> None:
        self.place = {row.quantizer: i for i, row in enumerate(rows)}
        self.leaks, self.differences = leaks, differences
        useful = [i for i, row in enumerate(rows) if all(flag.code not in ("no-skill", "dp-sgd") for flag in row.flags)]
        self.against = {
            "leak_vs_full": next((i for i, row in enumerate(rows) if row.quantizer in FULL), None),
            "leak_vs_least": min(useful, key=lambda i: leaks[i].value) if useful else None,
        }

    def beside(self, row: QuantizerRow) -> QuantizerRow:
        """Return the row with its differences, if it is among those compared."""
        mine = self.place.get(row.quantizer)
        if mine is None:
            return row
        more = {name: self._difference(mine, other) for name, other in self.against.items() if other is not None}
        return replace(row, measures={**row.measures, **more})

    def _difference(self, mine: int, other: int) -> Estimate:
        one = self.leaks[mine]
        gap, half = one.value - self.leaks[other].value, self.differences.half_width(mine, other)
        return Estimate(gap, gap - half, gap + half, one.n, one.level, one.unit, METHOD)
