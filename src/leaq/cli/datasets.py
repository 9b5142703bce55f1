"""``leaq datasets``, the former name of ``leaq list datasets`` and ``leaq get``."""

from typing import Annotated

import typer

from leaq.cli.listing import data_sets, get

__all__ = ["app"]

app = typer.Typer(invoke_without_command=True, help="The former name of leaq list datasets, and of leaq get NAME.")


@app.callback()
def datasets(
    ctx: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print what is known as JSON and nothing else.")] = False,
) -> None:
    """List the data sets known by name, with task, size, licence and source."""
    if ctx.invoked_subcommand is None:
        data_sets(json=json)


app.command("get")(get)
