"""``leaq embedders``: the ways to turn records into numbers."""

from leaq.cli import console

__all__ = ["embedders"]


def embedders() -> None:
    """List the embedders known by name, with dimension, source, licence and what they were pretrained on."""
    from leaq.embedders import listing
    from leaq.reporting.listings import embedders_table

    console.show_table(embedders_table(listing()))
