"""Tables of what is known by name: data sets, embedders and attacks."""

from collections.abc import Sequence

from leaq.attacks.catalogue import AttackEntry
from leaq.data.catalogue import CataloguedTask
from leaq.embedders.base import EmbedderEntry
from leaq.reporting.tables import Cell, Column, Table


def datasets_table(entries: Sequence[CataloguedTask]) -> Table:
    """Return data sets by name, in the order given."""
    rows = tuple(
        (
            entry.name,
            f"{entry.task}{f' ({entry.unit})' if entry.unit else ''}",
            f"{entry.records:,}" if entry.records else "unknown",
            entry.what,
            entry.source,
            entry.licence,
            entry.note,
        )
        for entry in entries
    )
    heads = ("name", "task", "records", "target", "source", "licence", "note")
    return _table(
        "Data sets known by name", heads, rows, "In the order of the catalogue; audit one with: leaq audit NAME"
    )


def embedders_table(entries: Sequence[EmbedderEntry]) -> Table:
    """Return embedders by name, in the order given."""
    rows = tuple(
        (
            entry.name,
            entry.family,
            "varies" if entry.dimension is None else f"{entry.dimension:,}",
            entry.what,
            entry.source,
            entry.licence,
            entry.pretrained or "nothing",
        )
        for entry in entries
    )
    heads = ("name", "kind", "dimension", "what", "source", "licence", "pretrained on")
    return _table("Embedders known by name", heads, rows, "Use one with: leaq audit NAME --embedder EMBEDDER")


def attacks_table(entries: Sequence[AttackEntry]) -> Table:
    """Return attacks by specification, in the order given."""
    rows = tuple(
        (
            entry.spec,
            entry.what,
            ", ".join(entry.needs) or "losses",
            entry.holds,
            entry.told,
            entry.source,
            ", ".join(entry.families),
        )
        for entry in entries
    )
    heads = ("attack", "what it does", "needs", "attacker holds", "is told", "source", "families")
    return _table("Attacks", heads, rows, "Weakest first; choose with: leaq audit WHAT --attacks lira,combined")


def _table(title: str, heads: tuple[str, ...], rows: tuple[tuple[str, ...], ...], order: str) -> Table:
    columns = tuple(
        # The name never gives way, then from the right.
        Column(head, "", "right" if head in ("records", "dimension") else "left", keep=None if at == 0 else -at)
        for at, head in enumerate(heads)
    )
    return Table(title, columns, [(row[0], [*map(Cell, row)]) for row in rows], order)
