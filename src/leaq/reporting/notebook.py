"""A result in a notebook: verdict, table, doubts. Plain HTML without a style sheet, so it fits any notebook."""

from html import escape

from leaq.reporting.reading import verdict
from leaq.reporting.tables import Table, ranking
from leaq.results import CellResult

__all__ = ["notebook"]


def notebook(result: CellResult) -> str:
    """Return the ranking as HTML; every string escaped, nothing to load."""
    table = ranking(result)
    notes = "".join(f"<li>{escape(str(note))}</li>" for note in table.footnotes)
    return (
        f"<p><b>{escape(verdict(result))}</b></p>{_drawn(table)}"
        f"<p><small>{escape(table.order)}</small></p><ul style='list-style:none;padding:0'>{notes}</ul>"
    )


def _drawn(table: Table) -> str:
    head = "".join(
        f"<th style='text-align:{column.align}' title='{escape(column.explanation)}'>{escape(column.title)}</th>"
        for column in table.columns
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td style='text-align:{column.align};white-space:nowrap'>{escape(cell)}</td>"
            for cell, column in zip(row, table.columns, strict=True)
        )
        + "</tr>"
        for row in table.rows
    )
    return f"<table><caption>{escape(table.title)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
