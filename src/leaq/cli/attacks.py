"""``leaq attacks``: list what there is to attack with, or explain one."""

from typing import TYPE_CHECKING, Annotated

import typer

from leaq.cli import console

if TYPE_CHECKING:
    from leaq.attacks.catalogue import Entry

__all__ = ["attacks"]


def attacks(
    name: Annotated[
        str | None, typer.Argument(help="An attack to explain, e.g. lira or 'lira(mode=offline)'; none lists all.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what is known as JSON and nothing else.")] = False,
) -> None:
    """List every attack with what it does, what it needs and what its attacker holds, or explain one.

    Examples:

        leaq list attacks

        leaq list attacks "lira(mode=offline)"
    """
    from leaq.attacks.catalogue import catalogue, entry
    from leaq.reporting.listings import attacks_table

    if name is not None:
        console.listing(entry(name), lambda found: console.say(_explained(found)), json=json)
    else:
        console.listing(catalogue(), lambda found: console.show_table(attacks_table(found)), json=json)


def _explained(found: "Entry") -> str:
    return "\n".join(
        [
            f"{found.spec}: {found.title}",
            found.what,
            f"Needs: {', '.join(found.needs) or 'losses'}.",
            f"The attacker holds {found.holds} and is told {found.told}.",
            f"In the families: {', '.join(found.families) or 'none'}.",
            f"Source: {found.source}.",
        ]
    )
