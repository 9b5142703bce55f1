"""A result in a notebook: verdict, picture, table, doubts. Plain HTML, no style sheet: fits any notebook."""

from hashlib import sha256
from html import escape
from importlib.util import find_spec

from leaq.reporting.drawing import COLOURS, svg
from leaq.reporting.figures import tradeoff
from leaq.reporting.narrative import attacker, headline, outcome
from leaq.reporting.tables import Table, ranking
from leaq.results import CellResult


def notebook(result: CellResult) -> str:
    """Return what the report's first screen says, and the ranking, as HTML; every string escaped, nothing to load."""
    if not result.rows:
        return f"<p>{escape(repr(result))}</p>"
    table = ranking(result)
    first, *others = outcome(result)
    said = "".join(f"<p>{escape(one)}</p>" for one in (*others, headline(result) or attacker(result)))
    notes = "".join(f"<li>{escape(str(note))}</li>" for note in table.footnotes)
    return (
        f"<p><b>{escape(first)}</b></p>{said}{_picture(result)}{_drawn(table)}"
        f"<p><small>{escape(table.order)}</small></p><ul style='list-style:none;padding:0'>{notes}</ul>"
    )


def _picture(result: CellResult) -> str:
    """Return leak against loss, on white, since notebooks may be dark; nothing where it cannot be drawn."""
    if find_spec("vl_convert") is None:
        return ""
    about = "Leak against loss of the task's metric; the numbers are in the table."
    name = f"leaq-{sha256(result.to_json(timings=False).encode()).hexdigest()[:8]}"  # two results may share a page
    drawing = svg(tradeoff(result, width=560, height=420), name=name, label=about)
    colours = ";".join(f"--{colour}:{value}" for colour, value in COLOURS.items())
    return f"<div style='{colours};background:#fff;display:inline-block;padding:8px'>{drawing}</div>"


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
    title = f"<caption style='text-align:left'>{escape(table.title)}</caption>"
    body = f"{title}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"
    return f"<div style='overflow-x:auto'><table>{body}</table></div>"
