"""``leaq list``, ``leaq get`` and ``leaq doctor``: what there is to choose from, fetching it, and what is installed."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leaq.cli import console
from leaq.cli.completing import KINDS, complete_data_sets, complete_kinds
from leaq.errors import InvalidInput, unknown_name

if TYPE_CHECKING:
    from leaq.system.doctor import Checkup, Package


def list_command(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="WHAT", help="attacks, datasets, embedders or quantizers.", autocompletion=complete_kinds
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="An attack or a quantizer to explain, e.g. lira or 'uniform(bits=4)'."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what is known as JSON and nothing else.")] = False,
) -> None:
    """List data sets, embedders, quantizers or attacks, or explain one of them.

    Examples:

        leaq list quantizers

        leaq list attacks "lira(mode=offline)"
    """
    if what is None:
        everything = "\n".join(f"leaq list {kind}" for kind in KINDS)
        console.print_listing(list(KINDS), lambda _: console.say(everything), json=json)
        return
    if what not in KINDS:
        raise unknown_name("list", what, KINDS)
    from leaq.reporting import listings

    room = import_module(KINDS[what])
    if name is None:
        table = listings.TABLES[what]
        console.print_listing(room.entries(), lambda found: console.show_table(table(found)), json=json)
    elif what in listings.EXPLAINED:
        explained = listings.EXPLAINED[what]
        console.print_listing(room.entry(name), lambda found: console.say(explained(found)), json=json)
    else:
        raise InvalidInput(
            f"leaq list {what} takes no name. Found {name!r}. Leave it out: the list says what is known."
        )


def get_command(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A molecular task, e.g. bbb_martins.", autocompletion=complete_data_sets),
    ],
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
        here = f"{name} ships with {SHIPPED[name].source}: there is nothing to fetch."
        console.print_listing({"name": name, "path": None}, lambda _: console.say(here), json=json)
        return
    with console.progress_bar(quiet=quiet or json) as progress:
        path = fetch(name, data_dir, progress=progress)
    console.print_listing({"name": name, "path": str(path)}, lambda found: console.say(found["path"]), json=json)


def doctor_command(
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON and nothing else.")] = False,
) -> None:
    """Say what is installed, which extras are missing and how to get them, where data is looked for, what to do next.

    Nothing is computed, downloaded or created. Exit code 1: something has to be done before leaq works.

    Examples:

        leaq doctor
    """
    from leaq.system.doctor import check

    found = check()
    if json:
        console.say_json(found, ok=found.ok)
    else:
        console.say("\n".join(_lines(found)))
    if not found.ok:
        raise typer.Exit(1)


def _lines(found: "Checkup") -> list[str]:
    lines = [f"leaq {found.version}, Python {found.python}, {found.platform}", "", "Needed"]
    lines += [f"  {_mark(package.ok)} {_named(package)}" for package in found.core]
    lines += ["", "Extras"]
    for extra in found.extras:
        lines.append(f"  {_mark(extra.ok)} {extra.name:<13} {extra.purpose}")
        lines += [f"       {_named(package)}" for package in extra.packages if not package.ok]
        lines += [] if extra.ok else [f"       {extra.install}"]
    limits = ", ".join(f"{name}={value or 'not set'}" for name, value in found.threads.items())
    lines += ["", "Machine", f"  cores: {found.cores} ({limits})", f"  GPU: {found.gpu}", "", "Folders"]
    for place in found.places:
        state = f", {place.state}" if place.path else ""
        held = f", {place.files} files" if place.files else ""
        lines.append(f"  {_mark(place.ok)} {place.what}: {place.path or place.state} ({place.variable}{state}{held})")
    lines += ["", "To do" if found.todo else "Nothing has to be done."]
    return [*lines, *(f"  {text}" for text in found.todo), *found.hints]


def _mark(ok: bool) -> str:
    return "ok" if ok else "no"


def _named(package: "Package") -> str:
    wanted = f" (needed: {package.wanted})" if package.wanted and not package.ok else ""
    return f"{package.name} {package.found or 'not installed'}{wanted}"
