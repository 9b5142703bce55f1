"""``leaq show``: print what a run folder holds."""

from pathlib import Path
from typing import Annotated

import typer

from leaq.cli import console

__all__ = ["show"]


def show(
    run: Annotated[Path, typer.Argument(help="A run folder, made by --out.")],
    json: Annotated[bool, typer.Option("--json", help="Print the results as JSON, one a line.")] = False,
) -> None:
    """Print the tables of a run folder again; nothing is computed."""
    from leaq.reporting.tables import ranking, reading
    from leaq.study import Store

    for result in Store(run).finished():
        if json:
            console.say(" ".join(result.to_json().split("\n")))
            continue
        console.show_table(ranking(result))
        console.paragraph("\n" + reading(result) + "\n")
