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
    internal: Annotated[
        bool,
        typer.Option(
            "--internal",
            help="Add the records most at risk, by row number. It gives members away: readable by you alone (mode "
            "0600), not to be passed on.",
        ),
    ] = False,
    card: Annotated[
        Path | None, typer.Option(help="Write a privacy card in Markdown too, to paste into a model card.")
    ] = None,
) -> None:
    """Write the HTML report of a run folder; nothing is computed.

    Everything written holds aggregates only and can be passed on, unless --internal asks for single records. A
    privacy card never names any.

    Examples:

        leaq report runs/x x.html --exports --card x.md

        leaq report runs/x x-internal.html --internal
    """
    from leaq.reporting.card import write_cards
    from leaq.reporting.exports import write_exports
    from leaq.reporting.html import check_place, write_report
    from leaq.study import Store

    store = Store(run)
    whole = store.with_risks if internal else store.finished
    results = whole() if internal or exports or card is not None else store.reported()
    check_place(html)
    write_report(results, html, "internal" if internal else "shareable")
    console.note(f"Report: {html}" + (" (names training records; do not pass it on)" if internal else ""))
    if exports:
        console.note("Exports: {}, {}".format(*write_exports(results, html, internal=internal)))
    if card is not None:
        console.note(f"Card: {write_cards(results, card)}")
