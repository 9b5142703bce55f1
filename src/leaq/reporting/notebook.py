"""A result in a notebook: verdict, picture, table, doubts. Plain HTML, no style sheet: fits any notebook."""

from hashlib import sha256
from html import escape
from importlib.util import find_spec

from leaq.reporting.drawing import COLOURS, svg
from leaq.reporting.figures import tradeoff
from leaq.reporting.html import filled
from leaq.reporting.narrative import attacker, headline, outcome
from leaq.reporting.tables import ranking
from leaq.results import CellResult


def notebook(result: CellResult) -> str:
    """Return what the report's first screen says, and the ranking, as HTML; every string escaped, nothing to load."""
    if not result.rows:
        return f"<p>{escape(repr(result))}</p>"
    first, *others = outcome(result)
    said = [*others, headline(result) or attacker(result)]
    return filled("notebook.html", first=first, said=said, picture=_picture(result), table=ranking(result))


def _picture(result: CellResult) -> str:
    """Return leak against loss, on white, since notebooks may be dark; nothing where it cannot be drawn."""
    if find_spec("vl_convert") is None:
        return ""
    about = "Leak against loss of the task's metric; the numbers are in the table."
    name = f"leaq-{sha256(result.to_json(timings=False).encode()).hexdigest()[:8]}"  # two results may share a page
    drawing = svg(tradeoff(result, width=560, height=420), name=name, label=about)
    colours = ";".join(f"--{colour}:{value}" for colour, value in COLOURS.items())
    return f"<div style='{colours};background:#fff;display:inline-block;padding:8px'>{drawing}</div>"
