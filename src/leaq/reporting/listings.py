"""Tables of what is known by name: data sets, embedders and attacks."""

from collections.abc import Mapping, Sequence

from leaq.attacks.registry import AttackEntry
from leaq.data.catalogue import CataloguedTask
from leaq.embedders.base import EmbedderEntry
from leaq.reporting.tables import Cell, Column, Table


def datasets_table(entries: Sequence[CataloguedTask]) -> Table:
    """Return data sets by name, in the order given."""
    lines = [
        {
            "name": one.name,
            "task": f"{one.task}{f' ({one.unit})' if one.unit else ''}",
            "records": f"{one.records:,}" if one.records else "unknown",
            "target": one.what,
            "source": one.source,
            "licence": one.licence,
            "note": one.note,
        }
        for one in entries
    ]
    return _table("Data sets known by name", lines, "In the order of the catalogue; audit one with: leaq audit NAME")


def embedders_table(entries: Sequence[EmbedderEntry]) -> Table:
    """Return embedders by name, in the order given."""
    lines = [
        {
            "name": one.name,
            "kind": one.family,
            "dimension": "varies" if one.dimension is None else f"{one.dimension:,}",
            "what": one.what,
            "source": one.source,
            "licence": one.licence,
            "pretrained on": one.pretrained or "nothing",
        }
        for one in entries
    ]
    return _table("Embedders known by name", lines, "Use one with: leaq audit NAME --embedder EMBEDDER")


def attacks_table(entries: Sequence[AttackEntry]) -> Table:
    """Return attacks by specification, in the order given."""
    lines = [
        {
            "attack": one.spec,
            "what it does": one.what,
            "needs": ", ".join(one.needs) or "losses",
            "attacker holds": one.holds,
            "is told": one.told,
            "source": one.source,
            "families": ", ".join(one.families),
        }
        for one in entries
    ]
    return _table("Attacks", lines, "Weakest first; choose with: leaq audit WHAT --attacks lira,combined")


def _table(title: str, lines: Sequence[Mapping[str, str]], order: str) -> Table:
    columns = [
        # The name never gives way, then from the right.
        Column(head, "", "right" if head in ("records", "dimension") else "left", keep=None if at == 0 else -at)
        for at, head in enumerate(lines[0] if lines else ())
    ]
    rows = [[*line.values()] for line in lines]
    return Table(title, columns, [(row[0], [*map(Cell, row)]) for row in rows], order)
