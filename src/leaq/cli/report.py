"""``leaq report``: write the report of a run folder."""

from pathlib import Path
from typing import Annotated

import typer

from leaq.cli import console

__all__ = ["report"]


def report(
    run: Annotated[Path, typer.Argument(help="A run folder, made by --out.")],
    html: Annotated[Path, typer.Argument(help="The HTML file to write.")],
) -> None:
    """Write the HTML report of a run folder; nothing is computed."""
    from leaq.reporting.html import check_place, write_report
    from leaq.study import Store

    results = Store(run).finished()
    check_place(html)
    write_report(results, html)
    console.note(f"Report: {html}")
