"""``leaq datasets``: what can be audited by name, and fetching it."""

from pathlib import Path
from typing import Annotated

import typer

from leaq.cli import console

__all__ = ["app"]

app = typer.Typer(
    invoke_without_command=True, help="List the data sets known by name; get one with: datasets get NAME."
)


@app.callback()
def datasets(
    ctx: typer.Context,
    json: Annotated[
        bool, typer.Option("--json", help="Everything that is recorded: addresses, columns, hashes; one JSON list.")
    ] = False,
) -> None:
    """List the data sets known by name, with task, size, licence and source."""
    if ctx.invoked_subcommand is not None:
        return
    from leaq.data import listing
    from leaq.reporting.listings import datasets_table

    console.listing(listing(), lambda found: console.show_table(datasets_table(found)), json=json)


@app.command()
def get(
    name: Annotated[str, typer.Argument(help="A molecular task of the list, e.g. bbb_martins.")],
    data_dir: Annotated[
        Path | None, typer.Option(help="Look here instead of LEAQ_DATA_DIR and the cache; nothing is downloaded then.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the path as JSON and nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Fetch a task: find it in a folder, or download, check and convert it. Prints where it is."""
    from leaq.data import fetch

    with console.progress_bar(quiet=quiet or json) as progress:
        path = fetch(name, data_dir, progress=progress)
    if json:
        console.say_json({"name": name, "path": str(path)})
    else:
        console.say(str(path))
