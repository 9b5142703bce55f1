"""A study in two tables: one row a quantizer over all cells, and one row a data set. Both for a terminal and a page."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from leaq.decisions.evidence import over_data_sets
from leaq.decisions.standing import leak, reference, useful
from leaq.reporting.display_names import metric, short_attack
from leaq.reporting.narrative import winner
from leaq.reporting.tables import MISSING, Cell, Column, Footnote, Table, number_cell
from leaq.results import CellResult, QuantizerRow
from leaq.types import Estimate

Read = Callable[[CellResult, QuantizerRow], Estimate | None]


def by_quantizer(cells: Sequence[CellResult]) -> list[Table]:
    """Return one table a kind of task: each quantizer's leak, metric and cost over all cells, least leak first."""
    tasks = sorted({str(cell.data.get("task")) for cell in cells})
    return [_of_task([cell for cell in cells if str(cell.data.get("task")) == task], task) for task in tasks]


def _of_task(cells: Sequence[CellResult], task: str) -> Table:
    key = cells[0].primary_metric
    labels = {row.quantizer: row.label for cell in cells for row in cell.rows}
    reads: tuple[Read, ...] = (
        leak,
        lambda cell, row: _estimate(row.metrics.get(key)) if useful(reference(cell)) else None,
        lambda cell, row: _estimate(row.drops.get(key)) if useful(reference(cell)) else None,
    )
    low, high = metric(key).bounds
    bounds = ((-1.0, 1.0), (low, high), (low - high, high - low))
    found = {
        name: [_mean(cells, name, read, within) for read, within in zip(reads, bounds, strict=True)] for name in labels
    }
    order = sorted(labels, key=lambda name: one.value if (one := found[name][0]) else float("inf"))
    names = len({str(cell.data.get("name")) for cell in cells})
    lines = []
    for name in order:
        here = [row for cell in cells for row in cell.rows if row.quantizer == name]
        useless = sum(not useful(row) for row in here)
        bits = "/".join(dict.fromkeys(f"{row.size.bits:.3g}" for row in here[:1]))
        counts = [Cell(bits), Cell(str(len(here))), Cell(str(useless or MISSING))]
        lines.append((labels[name], [Cell(labels[name]), *(_cell(one) for one in found[name]), *counts]))
    attack = short_attack(cells[0].primary_attack)
    return Table(
        title=f"{task}: quantizers over {_count(len(cells), 'cell')} of {_count(names, 'data set')}",
        columns=(
            Column("Quantizer", "Full precision and every way of quantizing.", "left"),
            Column(f"Leak ({attack})", "Mean advantage over data sets."),
            Column(metric(key).name, "Mean over data sets."),
            Column("Change", "Mean change against full precision."),
            Column("Bits", "Bits a weight, in the first cell."),
            Column("Cells", "Audits it was measured in."),
            Column("No skill", "Audits in which it predicts no better than guessing."),
        ),
        lines=lines,
        order="Least leak first. A data set counts once, whatever its embedders, heads and seeds.",
        footnotes=tuple(Footnote("", text) for text in (_brackets(names), _skipped(cells, key)) if text),
    )


def _brackets(names: int) -> str:
    if names < 2:
        return "One data set: means over its cells, without interval. Every cell's own intervals: --cells."
    return f"Brackets: 95% intervals, Student's t over {names} data sets; what another data set would give is in them."


def _skipped(cells: Sequence[CellResult], key: str) -> str:
    without = sum(not useful(reference(cell)) for cell in cells)
    name = metric(key).name
    return f"{name} and change leave out {_count(without, 'cell')} without skill in full precision." if without else ""


def by_data_set(cells: Sequence[CellResult]) -> Table:
    """Return one row a data set: its leak and metric in full precision, and which quantizer leaks least how often."""
    groups: dict[str, list[CellResult]] = {}
    for cell in cells:
        groups.setdefault(str(cell.data.get("name")), []).append(cell)
    lines = []
    for name, group in groups.items():
        key = group[0].primary_metric
        full = [reference(cell) for cell in group]
        leaks = _range([one.value for cell, row in zip(group, full, strict=True) if (one := leak(cell, row))])
        skill = _range([one.value for row in full if (one := _estimate(row.metrics.get(key)))])
        winners = Counter(row.label for cell in group if (row := winner(cell)))
        best, count = winners.most_common(1)[0] if winners else (MISSING, 0)
        records = int(group[0].data.get("n", 0))
        embedders = len({str(cell.config.get("embedder")) for cell in group})
        shown = [
            Cell(name), Cell(str(group[0].data.get("task"))), Cell(f"{records:,}", float(records)),
            Cell(str(embedders), float(embedders)), Cell(str(len(group)), float(len(group))),
            Cell(f"{metric(key).name} {skill}", skill), Cell(leaks), Cell(best),
            Cell(f"{count} of {len(group)}", float(count)),
        ]  # fmt: skip
        lines.append((name, shown))
    return Table(
        title="Data sets",
        columns=(
            Column("Data set", "", "left"),
            Column("Task", "", "left"),
            Column("Records", "Records in the pool."),
            Column("Embedders", "How many."),
            Column("Cells", "Audits."),
            Column("Full precision", "Task metric: median, smallest to largest over its cells."),
            Column("Its leak", "Advantage of the leading attack in full precision: median, smallest to largest."),
            Column("Least leak", "Quantizer that leaks least in most cells in which two models predict.", "left"),
            Column("In", "Cells in which it does."),
        ),
        lines=lines,
        order="Full precision and its leak: median over cells (smallest to largest).",
    )


def _mean(cells: Sequence[CellResult], name: str, read: Read, within: tuple[float, float]) -> Estimate | None:
    """Return the mean over data sets; its interval ends where the number itself must end."""
    found = [
        (one.value, str(cell.data.get("name")))
        for cell in cells
        for row in cell.rows
        if row.quantizer == name and (one := read(cell, row)) is not None and np.isfinite(one.value)
    ]
    mean = over_data_sets(*map(list, zip(*found, strict=True))) if found else None
    return None if mean is None else replace(mean, low=max(mean.low, within[0]), high=min(mean.high, within[1]))


def _estimate(found: object) -> Estimate | None:
    return found if isinstance(found, Estimate) else None


def _cell(found: Estimate | None) -> Cell:
    return Cell(f"{found.value:.3f}", found.value) if found is not None and found.n < 2 else number_cell(found)


def _range(values: Sequence[float]) -> str:
    if not values:
        return MISSING
    middle, low, high = np.median(values), min(values), max(values)
    return f"{middle:.2f}" if len(values) == 1 else f"{middle:.2f} ({low:.2f} to {high:.2f})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"
