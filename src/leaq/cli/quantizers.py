"""``leaq quantizers``: list what there is to choose from, or explain one."""

from typing import TYPE_CHECKING, Annotated

import typer

from leaq.cli import console

if TYPE_CHECKING:
    from leaq.quantizers.catalogue import Entry

__all__ = ["quantizers"]


def quantizers(
    name: Annotated[
        str | None, typer.Argument(help="A quantizer to explain, e.g. ternary or 'uniform(bits=4)'; none lists all.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what is known as JSON and nothing else.")] = False,
) -> None:
    """List every quantizer with its bits and needs, or explain one.

    Examples:

        leaq list quantizers

        leaq list quantizers ternary
    """
    from leaq.quantizers.catalogue import catalogue, entry

    if name is not None:
        console.listing(entry(name), lambda found: console.say(_explained(found)), json=json)
    else:
        console.listing(catalogue(), lambda found: console.say(_listed(found)), json=json)


def _listed(entries: "tuple[Entry, ...]") -> str:
    """Align what a listing says in columns; the source, which is long, comes last."""
    rows = [("QUANTIZER", "BITS", "QUANTIZES", "NEEDS", "RUNS ON", "SOURCE")]
    rows += [
        (found.example, f"{found.bits:g}", found.weights, _needs(found), found.needs.device, found.source)
        for found in entries
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    lines = ["  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[-1]]) for row in rows]
    closing = (
        "",
        "Bits are those of one packed code, without scales. Families for --quantizers: study, shipped, protect, all.",
        "Every quantizer also has the options first, last, bias, activations, calibrated, refit and stop. Explained: "
        "leaq list quantizers sign",
    )
    return "\n".join([*lines, *closing])


def _needs(found: "Entry") -> str:
    return str(found.needs) + ("" if found.here else " (not installed)")


def _explained(found: "Entry") -> str:
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
        "  refit: off, last, layers or outputs (default off)",
        "  stop: share of training after which the model is released (default 1)",
    ]
    return "\n".join(lines)
