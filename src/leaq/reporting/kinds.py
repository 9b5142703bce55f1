"""Which kinds of molecules are exposed: numbers of each kind, never which ones; fit for every edition.

Mean risk by similarity to other molecules, size of the scaffold, rarity of class or value. Kinds of few molecules are
named with the bound they fall below and no number: what is said of three molecules is nearly said of each. The total is
known, so another kind beside them has no number either where they would follow by subtraction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from leaq.errors import LeaqError
from leaq.reporting.tables import Cell, Column, Footnote, Table, number_cell
from leaq.results import CellResult
from leaq.types import AttackResult

if TYPE_CHECKING:
    from leaq.reporting.molecule_risk import Stratum

FEWEST = 10
"""Molecules of a kind below which nothing is said of it."""
FEWEST_NAMED = 5
"""Identified molecules below which their number is not given, unless it is 0."""
WITHHELD = "not given"
OTHERS = "not: "
"""What the name of a kind begins with that holds all molecules but those of another kind."""
MOST = 20_000
"""Molecules beyond which neighbours are not looked up for a report."""
NOTE = (
    "Risk: how far the attack's signal moves when a molecule is trained on, in standard deviations over models, mean "
    "over the molecules of a kind; intervals are about molecules, the models fixed. Identified: how many are told "
    "apart at 5 % false discoveries, never which."
)


def kinds(result: CellResult) -> Table | None:
    """Return how exposed each kind of molecules is; None where records are none, or their risk is not at hand.

    Takes a result with its private part and reads the source again.
    """
    if not _asked(result):
        return None
    from leaq.reporting.molecule_risk import molecule_risks  # SciPy's statistics, which no other page needs

    try:
        found = molecule_risks(result, most=0)
    except LeaqError:  # the source is gone, or another
        return None
    ranked = [row.label for row in result.ranked()]
    full = result.rows[0].label
    labels = list(dict.fromkeys([full, next((label for label in ranked if label != full), full)]))
    heads = [
        column
        for label in labels
        for column in (
            Column(f"Risk, {label}", "Mean effect size of membership."),
            Column(f"Identified, {label}", "Molecules identified at 5 % false discoveries."),
        )
    ]
    return Table(
        title="Which kinds of molecules are exposed",
        columns=(
            Column("By", "What molecules are grouped by.", "left"),
            Column("Kind", "What they share.", "left"),
            Column("Molecules", "How many there are."),
            *heads,
        ),
        lines=[
            (f"{title}: {stratum.name}", [Cell(title), Cell(stratum.name), *cells])
            for title, strata in found.strata.items()
            for parts in partitions(strata)
            for stratum, cells in zip(parts, numbers_of(parts, labels), strict=True)
        ],
        footnotes=tuple(Footnote("", text) for text in (NOTE, *(flag.text for flag in found.flags))),
    )


def _asked(result: CellResult) -> bool:
    config = result.config
    plain = config.get("game", "pool") == "pool" and config.get("kind") != "model"
    drawn = any(flag.code == "judged-sample" for flag in result.flags)
    told = any(isinstance(found, AttackResult) and found.risk is not None for found in result.rows[0].attacks.values())
    few = int(result.data.get("n", 0)) <= MOST
    return plain and told and few and not drawn and "ids" in result.private and _molecules(result)


def _molecules(result: CellResult) -> bool:
    """Tell whether records are molecules that are at hand: for a page nothing is downloaded."""
    from leaq.data import tasks
    from leaq.data.catalogue import SHIPPED, TASKS

    source = str(result.config.get("source"))
    if source in TASKS:
        return source in SHIPPED or tasks.find(source) is not None
    return bool(result.config.get("smiles"))


def partitions(strata: Sequence[Stratum]) -> list[list[Stratum]]:
    """Return kinds that together hold every molecule once: all of them, or each with all others."""
    if not any(stratum.name.startswith(OTHERS) for stratum in strata):
        return [list(strata)]
    found: dict[str, list[Stratum]] = {}
    for stratum in strata:
        found.setdefault(stratum.name.removeprefix(OTHERS), []).append(stratum)
    return list(found.values())


def numbers_of(strata: Sequence[Stratum], labels: list[str]) -> list[list[Cell]]:
    """Return how many molecules each kind of a partition has, and their risk and who is identified by each label."""
    sizes = [stratum.n for stratum in strata]
    few = [size < FEWEST for size in sizes]
    hidden = withheld(sizes, few, total=FEWEST)
    counts = {}
    for label in labels:
        named = [stratum.identified.get(label, 0) for stratum in strata]
        small = [0 < number < FEWEST_NAMED for number in named]
        out = [one or other for one, other in zip(small, hidden, strict=True)]
        counts[label] = named, small, withheld(named, out, total=FEWEST_NAMED)
    lines = []
    for at, stratum in enumerate(strata):
        if hidden[at]:
            text = f"fewer than {FEWEST}" if few[at] else WITHHELD
            lines.append([Cell(text, 0.0), *[Cell("", 0.0)] * (2 * len(labels))])
            continue
        cells = [Cell(str(stratum.n), float(stratum.n))]
        for named, small, out in counts.values():
            text = f"fewer than {FEWEST_NAMED}" if small[at] else WITHHELD if out[at] else str(named[at])
            cells.append(Cell(text, 0.0 if out[at] else float(named[at])))
        risks = [number_cell(stratum.risk[label]) for label in labels]
        lines.append([cells[0], *(cell for pair in zip(risks, cells[1:], strict=True) for cell in pair)])
    return lines


def withheld(numbers: Sequence[int], small: Sequence[bool], *, total: int) -> list[bool]:
    """Tell which of numbers with a known sum are not given: small ones, and others until those left out add up.

    Examples
    --------
    >>> withheld([428, 8], [False, True], total=10), withheld([300, 20, 8, 7], [False, False, True, True], total=10)
    ([True, True], [False, False, True, True])
    """
    out = list(small)
    while any(out) and sum(n for n, left in zip(numbers, out, strict=True) if left) < total:
        shown = [at for at, left in enumerate(out) if not left and numbers[at]]
        if not shown:
            break
        out[min(shown, key=lambda at: numbers[at])] = True
    return out
