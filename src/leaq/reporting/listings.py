"""What is known by name, as tables and in words: data sets, embedders, attacks and quantizers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from leaq.attacks.registry import AttackEntry
from leaq.data.catalogue import CataloguedTask
from leaq.embedders.base import EmbedderEntry
from leaq.quantizers.catalogue import QuantizerEntry
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


def quantizers_table(entries: Sequence[QuantizerEntry]) -> Table:
    """Return quantizers by specification, in the order given."""
    lines = [
        {
            "quantizer": one.example,
            "bits": f"{one.bits:g}",
            "quantizes": one.weights,
            "needs": _needs(one),
            "runs on": one.needs.device,
            "source": one.source,
        }
        for one in entries
    ]
    order = (
        "Bits are those of one packed code, without scales. Families for --quantizers: study, shipped, protect, all. "
        "Every quantizer also has the options first, last, bias, activations, ranges, zero_point, outputs, calibrated, "
        "refit and stop. Explained: leaq list quantizers sign"
    )
    return _table("Quantizers", lines, order)


def explain_attack(found: AttackEntry) -> str:
    """Say what is known about one attack."""
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


def explain_quantizer(found: QuantizerEntry) -> str:
    """Say what is known about one quantizer."""
    options = [f"  {option.name}: {option.kind} (default {option.default})" for option in found.options]
    lines = [
        f"{found.name}, for example {found.example}",
        found.what,
        f"Quantizes: {found.weights}. Levels: {found.levels}. Bits a code: {found.bits:g}.",
        f"Needs: {_needs(found)}. Runs on: {found.needs.device}.",
        f"In the families: {', '.join(found.families) or 'none'}.",
        f"Source: {found.source}.",
        "Options:",
        *(options or ["  none of its own"]),
        "  first, last: same, int8 or full (default same)",
        "  bias: full, float16, int8 or corrected",
        "  activations: bits each layer's input is rounded to (default: not rounded)",
        "  ranges: what these levels span: record, or of calibration records minmax, mean or moving (default record)",
        "  zero_point: which of them is 0: middle, sign or free (default middle)",
        "  outputs: what else is rounded so: none, last or all (default none)",
        "  refit: off, last, layers or outputs (default off)",
        "  stop: share of training after which the model is released (default 1)",
    ]
    return "\n".join(lines)


def _needs(found: QuantizerEntry) -> str:
    return str(found.needs) + ("" if found.here else " (not installed)")


def _table(title: str, lines: Sequence[Mapping[str, str]], order: str) -> Table:
    columns = [
        # The name never gives way, then from the right.
        Column(head, "", "right" if head in ("records", "dimension", "bits") else "left", keep=None if at == 0 else -at)
        for at, head in enumerate(lines[0] if lines else ())
    ]
    rows = [[*line.values()] for line in lines]
    return Table(title, columns, [(row[0], [*map(Cell, row)]) for row in rows], order)


TABLES: dict[str, Callable[[Any], Table]] = {
    "attacks": attacks_table,
    "datasets": datasets_table,
    "embedders": embedders_table,
    "quantizers": quantizers_table,
}
EXPLAINED: dict[str, Callable[[Any], str]] = {"attacks": explain_attack, "quantizers": explain_quantizer}
"""By what ``leaq list`` lists."""
