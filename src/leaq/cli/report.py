"""``leaq report``: write the report of a run folder."""

from pathlib import Path
from typing import Annotated

import typer

from leaq.cli import console

__all__ = ["report"]


def report(
    run: Annotated[Path, typer.Argument(help="A run folder, made by --out.")],
    html: Annotated[Path, typer.Argument(help="The HTML file to write.")],
    exports: Annotated[
        bool, typer.Option("--exports", help="Write the numbers beside it too: the same name with .json and .csv.")
    ] = False,
    card: Annotated[
        Path | None, typer.Option(help="Write a privacy card in Markdown too, to paste into a model card.")
    ] = None,
) -> None:
    """Write the HTML report of a run folder; nothing is computed.

    Everything written holds aggregates only and can be passed on.
    """
    from leaq.reporting.card import write_cards
    from leaq.reporting.exports import write_exports
    from leaq.reporting.html import check_place, write_report
    from leaq.study import Store

    results = Store(run).finished()
    check_place(html)
    write_report(results, html)
    console.note(f"Report: {html}")
    if exports:
        console.note("Exports: {}, {}".format(*write_exports(results, html)))
    if card is not None:
        console.note(f"Card: {write_cards(results, card)}")
