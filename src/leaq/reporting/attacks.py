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
FPRS = (0.01, 0.001)


def attack_table(result: CellResult) -> Table:
    """Return one row per quantizer and attack: advantage, AUC, TPR at low FPR, and the bounds they imply."""
    columns = (
        QUANTIZER,
        Column("Attack", "Who attacks; see the notes.", "left"),
        Column("Advantage", "Signed TPR minus FPR at a threshold from the other half of the records; 0 = blind."),
        Column("Bal. accuracy", "Share of right guesses with as many members as non-members; 0.5 = blind."),
        Column("AUC", "Area under the ROC curve, mean over models; 0.5 = blind."),
        *(Column(f"TPR @ {fpr:.1%} FPR", "Members found while that share of non-members is accused.") for fpr in FPRS),
        Column("Leak ≥", "Lower end of the advantage: the leak of this game is at least that."),
        Column("ε ≥", "Lower bound on epsilon of differential privacy: one-run auditing, replace-one, delta = 0."),
    )
    lines = [
        (row.quantizer, [Cell(row.label), Cell(short_attack(name), name), *_cells(shown[name])])
        for row in (*reversed(result.ranked()), *result.unranked)
        for shown in [result.attacked(row)]
        for name in in_reading_order(shown, "attack")
    ]
    return Table(
        title=f"{result.data.get('name', 'data')}: what each attack finds",
        columns=columns,
        lines=lines,
        order="Most revealing quantizer first.",
        footnotes=plain_notes(_doubts(result)),
    )


def _cells(found: AttackResult | NotComputed) -> list[Cell]:
    if isinstance(found, NotComputed):
        return [number_cell(found)] * 7
    epsilon = found.epsilon
    texts = (
        format_estimate(found.advantage, sign=True),
        format_estimate(found.balanced_accuracy, interval=False),
        format_estimate(found.auc),
        *(number_cell(found.tpr.get(fpr)).text for fpr in FPRS),
        MISSING if found.told else format_bound(found.leak_bound.low),
        format_bound(epsilon.low) if isinstance(epsilon, Estimate) else MISSING,
    )
    return [Cell(text, found.advantage.value) for text in texts]


def _doubts(result: CellResult) -> dict[str, None]:
    """Say which game was played, who attacks, and why numbers are missing."""
    texts: dict[str, None] = {}
    for row in result.shown():
        for name, found in result.attacked(row).items():
            if isinstance(found, NotComputed):
                texts.setdefault(f"{short_attack(name)}: not computed. {found.reason}")
                continue
            texts.setdefault(f"Game {found.game}: {game_words(found.game)}. A bound is about the leak of this game.")
            if found.told:
                texts.setdefault(TOLD)
            texts.setdefault(f"{short_attack(name)}: the attacker {found.attacker}.")
            for fpr, rate in found.tpr.items():
                if isinstance(rate, NotComputed):
                    texts.setdefault(f"TPR @ {fpr:.1%} FPR: {rate.reason}")
    for row in result.together:
        texts |= dict.fromkeys(map(flag_words, row.flags))
    texts.setdefault("An attack that finds nothing is no proof of privacy; a stronger one may.")
    return texts


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


def attack_numbers(result: CellResult) -> Table:
    """Return advantage, AUC and true-positive rates at low false-positive rates of every attack that was run."""
    ran = [attack for row in result.rows for attack in row.computed.values()]
    rates = sorted({fpr for attack in ran for fpr in attack.tpr}, reverse=True)
    keys = in_reading_order((key for row in result.rows for key in row.attacks), "attack")
    bounded = any(attack.epsilon is not None for attack in ran)
    notes = Notes()
    lines = [
        (row.quantizer, _number_cells(row, key, rates, bounded=bounded, notes=notes))
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


def _number_cells(row: QuantizerRow, key: str, rates: Sequence[float], *, bounded: bool, notes: Notes) -> list[Cell]:
    attack = row.attacks[key]
    missing: list[str] = []
    head = [Cell(row.label), Cell(short_attack(key))]
    if isinstance(attack, NotComputed):
        numbers = [number_cell(attack, missing), *(number_cell(None, missing) for _ in range(1 + len(rates) + bounded))]
        return [*head, *numbers, Cell(notes.mark(missing))]
    numbers = [number_cell(attack.advantage, missing, sign=True), number_cell(attack.auc, missing)]
    numbers += [number_cell(attack.tpr.get(rate), missing) for rate in rates]
    if bounded:  # the lower limit alone: nothing but a bound is known
        limit = attack.epsilon
        numbers.append(
            Cell(format_bound(limit.low), limit.low) if isinstance(limit, Estimate) else number_cell(limit, missing)
        )
    doubts = [flag_words(flag) for flag in (*attack.flags, *attack.advantage.flags, *attack.auc.flags)]
    return [*head, *numbers, Cell(notes.mark([*doubts, *missing]))]
