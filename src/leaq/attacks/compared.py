"""Which rows of an audit leak more than others: paired differences, since all rows share models and records.

Two quantizers are judged by the same attack on the same models and records, and their resamples are the same draws. So
the difference of their leaks is far better known than either leak, and two intervals that overlap say little about it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from types import MappingProxyType

import numpy as np

from leaq.results import CellResult, Comparison, QuantizerRow
from leaq.stats.crossed import Crossed
from leaq.stats.intervals import normal_quantile
from leaq.stats.selection import pairs_factor
from leaq.types import Estimate

METHOD = "paired over models and records; max-t over all pairs of rows"
FULL = ("none", "identity")
NO_CHOICE = ("no-skill", "dp-sgd")
"""Flags of rows whose small leak is no merit, or that are no quantizer."""


def with_comparison(
    result: CellResult, contrasts: Mapping[str, Mapping[str, Sequence[str]]] = MappingProxyType({})
) -> CellResult:
    """Return an audit with its rows compared: `CellResult.comparison`, "leak_vs_full" and "leak_vs_least" in each row.

    Parameters
    ----------
    contrasts : further measures, each by row the rows it is compared with; the most revealing of them counts. A
        repetition of a random rounding has no row and leaks what the first release does.

    Direction: a positive difference leaks more than full precision, or than the row that leaks least and still predicts
    something. Range: [-2, 2]. Interval: of the paired difference, for all pairs of rows at once, so that the winner's
    luck and the choice of what to look at are paid for. Do not read an interval that holds 0 as equality: this audit
    does not tell the two apart.

    Rows whose primary attack left no draws (read from a file, trained apart) are not compared.
    """
    everything = (*result.rows, *result.together)
    ran = [(row, row.computed.get(result.primary_attack)) for row in everything]
    found = [(row, one) for row, one in ran if one is not None and one.crossed is not None]
    if len(found) < 2 or len({attack.crossed.cells.shape for _, attack in found}) > 1:
        return result
    leaks = [attack.advantage for _, attack in found]
    comparison = _comparison(
        [row.quantizer for row, _ in found], [attack.crossed for _, attack in found], leaks[0].level
    )
    by_spec = {row.quantizer: leak for (row, _), leak in zip(found, leaks, strict=True)}
    usual = _against(result.rows, by_spec)

    def compared(row: QuantizerRow) -> QuantizerRow:
        if row.quantizer not in by_spec:
            return row
        against = dict(usual)
        for name, rows in contrasts.items():  # the most revealing of them that is compared
            if known := [other for other in rows.get(row.quantizer, ()) if other in by_spec]:
                against[name] = max(known, key=lambda other: by_spec[other].value)
        return _beside(row, by_spec, against, comparison)

    rows, together = (tuple(compared(row) for row in kind) for kind in (result.rows, result.together))
    return replace(result, rows=rows, together=together, comparison=comparison)


def _comparison(quantizers: Sequence[str], leaks: Sequence[Crossed], level: float) -> Comparison:
    """Return what all differences between the leaks are worth."""
    size = len(leaks)
    errors = np.diag([leak.error(level=level) for leak in leaks])
    for i, j in combinations(range(size), 2):
        errors[i, j] = errors[j, i] = (leaks[i] - leaks[j]).error(level=level)
    factor = pairs_factor(np.stack([leak.draws() for leak in leaks], axis=1), level=level)
    # The discrete draws of a few models can fall short of what one difference alone needs.
    factor = max(factor, normal_quantile(level))
    return Comparison(tuple(quantizers), tuple(tuple(float(value) for value in line) for line in errors), factor)


def _against(rows: Sequence[QuantizerRow], leaks: Mapping[str, Estimate]) -> dict[str, str]:
    """Return which row each difference is from."""
    rows = [row for row in rows if row.quantizer in leaks]
    useful = [row.quantizer for row in rows if all(flag.code not in NO_CHOICE for flag in row.flags)]
    full = [row.quantizer for row in rows if row.quantizer in FULL]
    found = {"leak_vs_full": full[0]} if full else {}
    if useful:
        found["leak_vs_least"] = min(useful, key=lambda spec: leaks[spec].value)
    return found


def _beside(
    row: QuantizerRow, leaks: Mapping[str, Estimate], against: Mapping[str, str], comparison: Comparison
) -> QuantizerRow:
    """Return the row with its differences."""
    mine, more = leaks[row.quantizer], {}
    for name, other in against.items():
        gap, half = mine.value - leaks[other].value, comparison.half_width(row.quantizer, other) or 0.0
        more[name] = Estimate(gap, gap - half, gap + half, mine.n, mine.level, mine.unit, METHOD)
    return replace(row, measures={**row.measures, **more})
