"""``leaq list`` and ``leaq get``: what there is to choose from, and fetching it."""

from pathlib import Path
from typing import Annotated

import typer

from leaq.cli import console
from leaq.cli.attacks import attacks
from leaq.cli.completing import KINDS, complete_data_sets, complete_kinds
from leaq.cli.embedders import embedders
from leaq.cli.quantizers import quantizers
from leaq.errors import InvalidInput, unknown_name

__all__ = ["get", "list_"]


def list_(
    what: Annotated[
        str | None, typer.Argument(help="attacks, datasets, embedders or quantizers.", autocompletion=complete_kinds)
    ] = None,
    name: Annotated[
        str | None, typer.Argument(help="An attack or a quantizer to explain, e.g. lira or 'uniform(bits=4)'.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what is known as JSON and nothing else.")] = False,
) -> None:
    """List data sets, embedders, quantizers or attacks, or explain one of them.

    Examples:

        leaq list quantizers

        leaq list attacks "lira(mode=offline)"
    """
    if what is None:
        if json:
            console.say_json(list(KINDS))
        else:
            console.say("\n".join(f"leaq list {kind}" for kind in KINDS))
        return
    if what not in KINDS:
        raise unknown_name("list", what, KINDS)
    if what == "quantizers":
        quantizers(name, json=json)
    elif what == "attacks":
        attacks(name, json=json)
    elif name is not None:
        raise InvalidInput(
            f"leaq list {what} takes no name. Found {name!r}. Leave it out: the list says what is known."
        )
    elif what == "embedders":
        embedders(json=json)
    else:
        data_sets(json=json)


def data_sets(*, json: bool) -> None:
    """Print the data sets known by name."""
    from leaq.data import listing
    from leaq.reporting.listings import datasets_table

    console.listing(listing(), lambda found: console.show_table(datasets_table(found)), json=json)


def get(
    name: Annotated[str, typer.Argument(help="A molecular task, e.g. bbb_martins.", autocompletion=complete_data_sets)],
    data_dir: Annotated[
        Path | None, typer.Option(help="Look here instead of LEAQ_DATA_DIR and the cache; nothing is downloaded then.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the path as JSON and nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Fetch a data set: find it in a folder, or download, check and convert it. Prints where it is.

    Examples:

        leaq get bbb_martins
    """
    from leaq.data import fetch
    from leaq.data.catalogue import SHIPPED

    if name in SHIPPED:
        if json:
            console.say_json({"name": name, "path": None})
        else:
            console.say(f"{name} ships with {SHIPPED[name].source}: there is nothing to fetch.")
        return
    with console.progress_bar(quiet=quiet or json) as progress:
        path = fetch(name, data_dir, progress=progress)
    if json:
        console.say_json({"name": name, "path": str(path)})
    else:
        console.say(str(path))
