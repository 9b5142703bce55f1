"""``leaq embedders``: the ways to turn records into numbers."""

from typing import Annotated

import typer

from leaq.cli import console

__all__ = ["embedders"]


def embedders(
    json: Annotated[bool, typer.Option("--json", help="Print what is known as JSON and nothing else.")] = False,
) -> None:
    """List the embedders known by name, with dimension, source, licence and what they were pretrained on."""
    from leaq.embedders import listing
    from leaq.reporting.listings import embedders_table

    console.listing(listing(), lambda found: console.show_table(embedders_table(found)), json=json)
