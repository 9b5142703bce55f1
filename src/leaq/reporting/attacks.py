"""What attacks found, as tables: all numbers of every attack under every quantizer, and the adaptive gap."""

from collections.abc import Sequence

from leaq.reporting.display_names import flag_words, game_words, in_reading_order, short_attack
from leaq.reporting.tables import FLAGS, MISSING, QUANTIZER, Cell, Column, Notes, Table, number_cell, plain_notes
from leaq.results import CellResult, QuantizerRow
from leaq.stats.digits import format_bound, format_estimate
from leaq.types import AttackResult, Estimate, NotComputed

TOLD = (
    "Leak ≥ stands only where the attacker is told no memberships of the attacked model: to be told is another game, "
    "whose advantage bounds no leak of this one."
)


def attack_table(result: CellResult, *, introduced: bool = True) -> Table:
    """Return one row per quantizer and attack: advantage, AUC, TPR at low FPR, and the bounds they imply.

    Parameters
    ----------
    introduced : say below it who attacks; a page says so beside it.
    """
    ran = [attack for row in result.rows for attack in row.computed.values()]
    rates = sorted({fpr for attack in ran for fpr in attack.tpr}, reverse=True)
    bounded = any(isinstance(attack.epsilon, Estimate) for attack in ran)
    notes = Notes()
    lines = [
        (row.quantizer, _cells(row, name, shown[name], rates, bounded=bounded, notes=notes))
        for row in result.shown()
        for shown in [result.attacked(row)]
        for name in in_reading_order(shown, "attack")
    ]
    found = "Members found while that share of non-members is accused."
    least = "Lower bound on epsilon of differential privacy: one-run auditing, replace-one, delta = 0."
    return Table(
        title=f"{result.name}: what each attack finds",
        columns=(
            QUANTIZER,
            Column("Attack", "Who attacks.", "left"),
            Column("Advantage", "Signed TPR minus FPR, threshold chosen on other models or records; 0 = blind."),
            Column("Bal. accuracy", "Share of right guesses with as many members as non-members; 0.5 = blind.", keep=0),
            Column("AUC", "Area under the ROC curve, mean over models; 0.5 = blind.", keep=4),
            *(Column(f"TPR @ {rate:.1%} FPR", found, keep=3) for rate in rates),
            Column("Leak ≥", "Lower end of the advantage: the leak of this game is at least that.", keep=2),
            *((Column("ε ≥", least, keep=1),) if bounded else ()),
            FLAGS,
        ),
        lines=lines,
        order="In the order of the ranking, simplest attack first.",
        footnotes=(*notes.footnotes(), *(plain_notes(_introduced(result)) if introduced else ())),
    )


def _cells(
    row: QuantizerRow,
    name: str,
    found: AttackResult | NotComputed,
    rates: Sequence[float],
    *,
    bounded: bool,
    notes: Notes,
) -> list[Cell]:
    head, missing = [Cell(row.label), Cell(short_attack(name), name)], list[str]()
    if isinstance(found, NotComputed):
        numbers = [number_cell(found, missing), *[number_cell(None)] * (3 + len(rates) + bounded)]
        return [*head, *numbers, Cell(notes.mark(missing))]
    balanced, bound = found.balanced_accuracy, found.leak_bound.low
    numbers = [
        number_cell(found.advantage, sign=True),
        Cell(format_estimate(balanced, interval=False), balanced.value),
        number_cell(found.auc),
        *(number_cell(found.tpr.get(rate), missing) for rate in rates),
        Cell(MISSING, -1.0) if found.told else Cell(format_bound(bound), bound),
    ]
    if bounded:  # the lower limit alone: nothing but a bound is known
        least = found.epsilon
        numbers.append(Cell(format_bound(least.low), least.low) if isinstance(least, Estimate) else Cell(MISSING, -1.0))
    doubts = [flag_words(flag) for flag in (*found.flags, *found.advantage.flags, *found.auc.flags)]
    return [*head, *numbers, Cell(notes.mark([*doubts, *([TOLD] if found.told else []), *missing]))]


def _introduced(result: CellResult) -> dict[str, None]:
    """Say which game was played and who attacks."""
    texts: dict[str, None] = {}
    for row in result.shown():
        for name, found in result.attacked(row).items():
            if isinstance(found, AttackResult):
                game = f"Game {found.game}: {game_words(found.game)}. A bound is about the leak of this game."
                texts |= dict.fromkeys((game, f"{short_attack(name)}: the attacker {found.attacker}."))
    texts |= {flag_words(flag): None for row in result.together for flag in row.flags}
    return {**texts, "An attack that finds nothing is no proof of privacy; a stronger one may.": None}


def gap_table(result: CellResult) -> Table:
    """Return how much an audit misses that attacks quantized models with full-precision shadows, by quantizer."""
    lines = []
    for row in reversed(result.ranked()):
        gap = row.measures.get("adaptive_gap")
        if isinstance(gap, Estimate):
            areas = [row.attacks.get(name) for name in ("lira", "lira(shadows=full_precision)")]
            cells = [number_cell(getattr(attack, "auc", None)) for attack in areas]
            lines.append((row.quantizer, [Cell(row.label), *cells, number_cell(gap, sign=True)]))
    columns = (
        QUANTIZER,
        Column("AUC, adaptive", "LiRA with shadow models quantized as the target is."),
        Column("AUC, not adaptive", "LiRA with full-precision shadow models."),
        Column("Gap", "Difference, paired over models and records."),
    )
    return Table(
        title="What full-precision shadow models miss",
        columns=columns,
        lines=lines,
        order="Most revealing quantizer first.",
    )
