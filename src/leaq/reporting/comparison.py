"""Two audits beside each other: what each says to release, and every quantizer both hold."""

from leaq.decisions.standing import leak
from leaq.errors import differing, unnested
from leaq.reporting.display_names import metric, short_attack
from leaq.reporting.narrative import verdict
from leaq.reporting.tables import MISSING, QUANTIZER, Cell, Column, Table, number_cell, plain_notes
from leaq.results import CellResult


def beside(one: CellResult, other: CellResult) -> Table:
    """Return one row a quantizer of either audit: leak and task metric in both.

    The audits share neither models nor records, so nothing is said about differences but whether intervals overlap.
    """
    rows = {row.quantizer: row for cell in (other, one) for row in cell.rows}
    order = dict.fromkeys(row.quantizer for row in (*one.ranked(), *other.rows))
    lines = [(name, [Cell(rows[name].label), *_pair((one, other), name)]) for name in order]
    names = [metric(cell.primary_metric).name for cell in (one, other)]
    leaks = [f"{short_attack(cell.primary_attack)}" for cell in (one, other)]
    columns = (
        QUANTIZER,
        Column(f"A: {leaks[0]}", "Advantage of the leading attack of the first run."),
        Column(f"B: {leaks[1]}", "Advantage of the leading attack of the second run."),
        Column("Apart", "Whether the two intervals do not overlap.", "left", keep=2),
        Column(f"A: {names[0]}", "Task metric of the first run.", keep=1),
        Column(f"B: {names[1]}", "Task metric of the second run.", keep=0),
    )
    title = " against ".join(f"{mark}: {cell.name}" for mark, cell in (("A", one), ("B", other)))
    notes = plain_notes(_differ(one, other))
    return Table(title, columns, lines, "In the order of the first run, least leak first.", notes)


def _pair(cells: tuple[CellResult, CellResult], name: str) -> list[Cell]:
    """Return the leak under one quantizer in both audits, whether they lie apart, and both task metrics."""
    rows = [next((row for row in cell.rows if row.quantizer == name), None) for cell in cells]
    a, b = (row and leak(cell, row) for cell, row in zip(cells, rows, strict=True))
    apart = MISSING if not (a and b) else "yes" if a.low > b.high or b.low > a.high else "no"
    metrics = [row and row.metrics.get(cell.primary_metric) for cell, row in zip(cells, rows, strict=True)]
    return [number_cell(a), number_cell(b), Cell(apart), *map(number_cell, metrics)]


def _differ(one: CellResult, other: CellResult) -> list[str]:
    """Say what was done otherwise, and what keeps the two from being compared."""
    notes = []
    if one.primary_attack != other.primary_attack:
        notes.append("The leading attacks differ: the two leaks are not the same quantity.")
    if one.name != other.name:
        notes.append("The data differ, and with them the question.")
    configs = [{key: str(value) for key, value in unnested(cell.config).items()} for cell in (one, other)]
    keys = [key for key in differing(*configs) if key != "quantizers"]
    changed = [f"{key} {' / '.join(config.get(key) or MISSING for config in configs)}" for key in keys]
    notes.append(f"Options that differ, A / B: {'; '.join(changed)}." if changed else "The same options in both.")
    return notes


def verdicts(one: CellResult, other: CellResult) -> list[str]:
    """Return what each of the two says to release."""
    return [f"A: {verdict(one)}", f"B: {verdict(other)}"]
