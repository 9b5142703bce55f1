"""Two audits beside each other: what each says to release, and every quantizer both hold."""

from leaq.decisions.standing import leak
from leaq.errors import differing
from leaq.reporting.display_names import metric, short_attack
from leaq.reporting.narrative import verdict
from leaq.reporting.tables import MISSING, QUANTIZER, Cell, Column, Footnote, Table, number_cell
from leaq.results import CellResult, QuantizerRow


def beside(one: CellResult, other: CellResult) -> Table:
    """Return one row a quantizer of either audit: leak and task metric in both.

    The audits share neither models nor records, so nothing is said about differences but whether intervals overlap.
    """
    theirs = {row.quantizer: row for row in other.rows}
    mine = {row.quantizer: row for row in one.rows}
    rows = [mine.get(name) or theirs[name] for name in dict.fromkeys([*(r.quantizer for r in one.ranked()), *theirs])]
    lines = [
        (row.quantizer, [Cell(row.label), *_pair(one, other, mine.get(row.quantizer), theirs.get(row.quantizer))])
        for row in rows
    ]
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
    title = " against ".join(f"{mark}: {cell.data.get('name', 'data')}" for mark, cell in (("A", one), ("B", other)))
    notes = tuple(Footnote("", text) for text in _differ(one, other))
    return Table(title, columns, lines, "In the order of the first run, least leak first.", notes)


def _pair(one: CellResult, other: CellResult, first: QuantizerRow | None, second: QuantizerRow | None) -> list[Cell]:
    found = leak(one, first) if first else None, leak(other, second) if second else None
    apart = MISSING
    if found[0] and found[1]:
        apart = "yes" if found[0].low > found[1].high or found[1].low > found[0].high else "no"
    metrics = (first.metrics.get(one.primary_metric) if first else None,
               second.metrics.get(other.primary_metric) if second else None)  # fmt: skip
    return [*map(number_cell, found), Cell(apart), *map(number_cell, metrics)]


def _differ(one: CellResult, other: CellResult) -> list[str]:
    """Say what was done otherwise, and what keeps the two from being compared."""
    notes = []
    if one.primary_attack != other.primary_attack:
        notes.append("The leading attacks differ: the two leaks are not the same quantity.")
    if one.data.get("name") != other.data.get("name"):
        notes.append("The data differ, and with them the question.")
    flat = [_flat(cell.config) for cell in (one, other)]
    changed = [
        f"{key} {' / '.join(one.get(key) or MISSING for one in flat)}"
        for key in differing(*flat)
        if key != "quantizers"
    ]
    notes.append(f"Options that differ, A / B: {'; '.join(changed)}." if changed else "The same options in both.")
    return notes


def _flat(config: object, lead: str = "") -> dict[str, str]:
    if not isinstance(config, dict):
        return {lead.rstrip("."): str(config)}
    return {key: text for name, value in config.items() for key, text in _flat(value, f"{lead}{name}.").items()}


def verdicts(one: CellResult, other: CellResult) -> list[str]:
    """Return what each of the two says to release."""
    return [f"A: {verdict(one)}", f"B: {verdict(other)}"]
