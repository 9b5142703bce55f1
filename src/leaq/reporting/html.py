"""The report: one HTML file that needs nothing else, opens anywhere, and can be sent by e-mail.

Two editions. "shareable" holds aggregates only; "internal" adds the risk of single records, by row number. A notebook
shows verdict, picture, table and doubts as plain HTML without a style sheet, which fits any notebook.
"""

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from leaq.errors import InvalidInput, need, visible
from leaq.reporting.drawing import COLOURS, svg
from leaq.reporting.figures import tradeoff
from leaq.reporting.kinds import kinds
from leaq.reporting.narrative import attacker, headline, outcome
from leaq.reporting.pages import audit_page, safe, study_page
from leaq.reporting.tables import ranking
from leaq.results import CellResult
from leaq.results.redaction import shareable
from leaq.system.files import writable_place, write_atomic
from leaq.system.memory import without_collecting

if TYPE_CHECKING:
    from leaq.reporting.molecule_risk import MoleculeRisks


Edition = Literal["shareable", "internal"]
PAGE = '<meta name="generator" content="leaq">'
"""At the beginning of every page: what a page may take the place of."""
TEMPLATES = Path(__file__).parent / "templates"


def write_report(results: CellResult | Sequence[CellResult], path: str | Path, edition: Edition = "shareable") -> Path:
    """Write the report of one audit, or of a study (several results), and return its path.

    The file is complete or absent. An internal report is readable by its owner alone.
    """
    with without_collecting():
        page = render(results, edition)
    write_atomic(Path(path), page, mode=0o600 if edition == "internal" else 0o644, over=PAGE)
    return Path(path)


def write_structures(found: "MoleculeRisks", path: Path) -> Path:
    """Write the page of the molecules most exposed, readable by its owner alone."""
    write_atomic(path, structures_html(found))
    return path


def structures_html(found: "MoleculeRisks") -> str:
    """Return that page as HTML that needs nothing else."""
    return from_template("molecules.html", found=found)


def check_place(path: str | Path) -> None:
    """Refuse, before the work, a place that cannot be written to or a missing drawing library."""
    for module in ("jinja2", "vl_convert"):
        need(module, extra="report", purpose="Writing the HTML report")
    writable_place(Path(path), over=PAGE)


def render(results: CellResult | Sequence[CellResult], edition: Edition = "shareable") -> str:
    """Return the report as HTML."""
    cells = [results] if isinstance(results, CellResult) else list(results)
    if not cells:
        raise InvalidInput("A report needs at least one result. Found none. Run an audit first.")
    if edition not in ("shareable", "internal"):
        raise InvalidInput(f"edition must be 'shareable' or 'internal'. Found {edition!r}.")
    internal = edition == "internal"
    exposed = kinds(cells[0]) if len(cells) == 1 else None  # aggregates, of what a shareable edition leaves out
    cells = cells if internal else [shareable(cell) for cell in cells]
    if len(cells) == 1:
        page = {**audit_page(cells[0], prefix="a0", internal=internal), "kinds": exposed}
        kind = "audit.html"
    else:
        kind, page = "study.html", study_page(cells, internal=internal)
    return page_of(kind, page, edition=edition)


def page_of(template: str, page: Mapping[str, Any], *, edition: Edition = "shareable") -> str:
    """Return a page of this house: its template, filled, with style and script inside."""
    css, script = (safe((TEMPLATES / name).read_text(encoding="utf-8")) for name in ("report.css", "report.js"))
    return from_template(template, page=page, edition=edition, css=css, script=script)


def from_template(template: str, **what: Any) -> str:
    """Return a template with what it names; every string in it is escaped."""
    return visible(str(_environment().get_template(template).render(**what)))


def _environment() -> Any:
    """Templates that escape every string and refuse unknown names."""
    jinja2 = need("jinja2", extra="report", purpose="Writing the HTML report")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["minus"] = minus
    return environment


def minus(text: Any) -> str:
    """Set the hyphens of negative numbers as minus signs.

    Examples
    --------
    >>> minus("-0.1 [-0.2, 1e-3] semi-open")
    '−0.1 [−0.2, 1e−3] semi-open'
    """
    return re.sub(r"(?<![\w-])-(?=[\d.∞])|(?<=\de)-(?=\d)", "−", str(text))


def notebook(result: CellResult) -> str:
    """Return what the report's first screen says, and the ranking, as HTML; every string escaped, nothing to load."""
    if not result.rows:
        return f"<p>{escape(repr(result))}</p>"
    first, *others = outcome(result)
    said = [*others, headline(result) or attacker(result)]
    return from_template("notebook.html", first=first, said=said, picture=_picture(result), table=ranking(result))


def _picture(result: CellResult) -> str:
    """Return leak against loss, on white, since notebooks may be dark; nothing where it cannot be drawn."""
    if find_spec("vl_convert") is None:
        return ""
    about = "Leak against loss of the task's metric; the numbers are in the table."
    name = f"leaq-{sha256(result.to_json(timings=False).encode()).hexdigest()[:8]}"  # two results may share a page
    drawing = svg(tradeoff(result, width=560, height=420), name=name, label=about)
    colours = ";".join(f"--{colour}:{value}" for colour, value in COLOURS.items())
    return f"<div style='{colours};background:#fff;display:inline-block;padding:8px'>{drawing}</div>"
