"""``leaq show``: print what a run folder holds."""

from pathlib import Path
from typing import Annotated

import typer

from leaq.cli import console

__all__ = ["show"]


def show(
    run: Annotated[Path, typer.Argument(help="A run folder, made by --out.")],
    json: Annotated[
        bool, typer.Option("--json", help="Print the results as JSON, one a line; with --what, one list.")
    ] = False,
    what: Annotated[
        bool, typer.Option("--what", help="Say what the folder holds, and what of it can give members away.")
    ] = False,
) -> None:
    """Print the tables of a run folder again; nothing is computed."""
    if what:
        _what(run, as_json=json)
        return
    from leaq.reporting.tables import ranking, reading
    from leaq.study import Store

    for result in Store(run).finished():
        if json:
            console.say(" ".join(result.to_json().split("\n")))
            continue
        console.show_table(ranking(result))
        console.paragraph("\n" + reading(result) + "\n")


def _what(run: Path, *, as_json: bool) -> None:
    from leaq.study.cleaning import holdings

    if as_json:
        from leaq.results import as_plain

        console.say_json(as_plain(holdings(run)))
        return
    for one in holdings(run):
        mark = "may be shared" if one.shareable else "SENSITIVE"
        console.say(f"{mark:<14} {one.place:<12} {one.files:>5} files {one.bytes / 2**20:>8.1f} MiB  {one.what}")
    console.note(f"Remove what is sensitive: leaq clean {run}")
