"""All attack numbers of an audit, one row per quantizer and attack."""

from collections.abc import Sequence

from leaq.reporting.display_names import flag_words, in_reading_order, short_attack
from leaq.reporting.tables import FLAGS, QUANTIZER, Cell, Column, Notes, Table, number_cell
from leaq.results import CellResult, QuantizerRow
from leaq.stats.digits import format_bound
from leaq.types import AttackResult, Estimate, NotComputed


def attack_numbers(result: CellResult) -> Table:
    """Return advantage, AUC and true-positive rates at low false-positive rates of every attack that was run."""
    rates = sorted(
        {fpr for row in result.rows for attack in row.attacks.values() for fpr in _rates(attack)}, reverse=True
    )
    keys = in_reading_order((key for row in result.rows for key in row.attacks), "attack")
    bounded = any(
        getattr(attack, "epsilon", None) is not None for row in result.rows for attack in row.attacks.values()
    )
    notes = Notes()
    lines = [
        (row.quantizer, _cells(row, key, rates, bounded=bounded, notes=notes))
        for row in result.shown()
        for key in keys
        if key in result.attacked(row)
    ]
    columns = [
        QUANTIZER,
        Column("Attack", "Who attacks; see the list below.", "left"),
        Column("Advantage", "Signed TPR - FPR, threshold chosen on other records."),
        Column("AUC", "Area under the ROC curve; 0.5 is blind guessing."),
        *(
            Column(f"TPR at {fpr:.4g}% FPR", "Members found while so few non-members are accused.")
            for fpr in (100 * rate for rate in rates)
        ),
    ]
    if bounded:
        columns.append(
            Column("ε, at least", "Lower bound on the epsilon of differential privacy, by one-run auditing.")
        )
    return Table(
        title="All attack numbers",
        columns=[*columns, FLAGS],
        lines=lines,
        order="In the order of the ranking, simplest attack first; the heads sort.",
        footnotes=notes.footnotes(),
    )


def _rates(attack: AttackResult | NotComputed) -> tuple[float, ...]:
    return tuple(attack.tpr) if isinstance(attack, AttackResult) else ()


def _cells(row: QuantizerRow, key: str, rates: Sequence[float], *, bounded: bool, notes: Notes) -> list[Cell]:
    attack = row.attacks[key]
    missing: list[str] = []
    head = [Cell(row.label), Cell(short_attack(key))]
    if isinstance(attack, NotComputed):
        numbers = [number_cell(attack, missing), *(number_cell(None, missing) for _ in range(1 + len(rates) + bounded))]
        return [*head, *numbers, Cell(notes.mark(missing))]
    numbers = [number_cell(attack.advantage, missing, sign=True), number_cell(attack.auc, missing)]
    numbers += [number_cell(attack.tpr.get(rate), missing) for rate in rates]
    if bounded:
        numbers.append(_bound(attack.epsilon, missing))
    doubts = [flag_words(flag) for flag in (*attack.flags, *attack.advantage.flags, *attack.auc.flags)]
    return [*head, *numbers, Cell(notes.mark([*doubts, *missing]))]


def _bound(item: Estimate | NotComputed | None, missing: list[str]) -> Cell:
    """Write the lower limit alone: nothing but a bound is known."""
    return Cell(format_bound(item.low), item.low) if isinstance(item, Estimate) else number_cell(item, missing)
