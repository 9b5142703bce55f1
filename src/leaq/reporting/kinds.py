"""Which kinds of molecules are exposed: numbers of each kind, never which ones; fit for every edition.

Mean risk by similarity to other molecules, size of the scaffold, rarity of class or value. Kinds of few molecules are
named with the bound they fall below and no number: what is said of three molecules is nearly said of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leaq.errors import LeaqError
from leaq.reporting.tables import Cell, Column, Footnote, Table, number_cell
from leaq.results import CellResult
from leaq.types import AttackResult

if TYPE_CHECKING:
    from leaq.reporting.molecule_risk import Stratum

FEWEST = 10
"""Molecules of a kind below which nothing is said of it."""
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
            (f"{title}: {stratum.name}", [Cell(title), Cell(stratum.name), *_numbers(stratum, labels)])
            for title, strata in found.strata.items()
            for stratum in strata
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


def _numbers(stratum: Stratum, labels: list[str]) -> list[Cell]:
    if stratum.n < FEWEST:
        return [Cell(f"fewer than {FEWEST}", 0.0), *[Cell("", 0.0)] * (2 * len(labels))]
    cells = [Cell(str(stratum.n), float(stratum.n))]
    for label in labels:
        risk = stratum.risk[label]
        cells += [number_cell(risk), _count(stratum.identified.get(label, 0))]
    return cells


def _count(number: int) -> Cell:
    return Cell("fewer than 5" if 0 < number < 5 else str(number), float(number if number >= 5 else 0))
