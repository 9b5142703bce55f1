"""Several audits beside each other: names, the overview, how far their orders agree, and the verdict over all."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Any

from leaq.decisions.choosing import choosers
from leaq.decisions.standing import leak, not_told_apart, reference, start_budget, useful
from leaq.errors import NotEnoughEvidence
from leaq.reporting.decision import capital, chooser_of, decision, other_knee
from leaq.reporting.display_names import flag_words, metric, short_attack
from leaq.reporting.narrative import winner
from leaq.reporting.tables import MISSING, Cell, Column, Footnote, Table, number_cell
from leaq.results import CellResult
from leaq.stats.digits import format_estimate
from leaq.stats.ranks import agreement
from leaq.types import Estimate

MOST_PAIRS = 60
"""Pairs of audits a table of agreements lists; the rest is counted."""


def audit_names(cells: Sequence[CellResult]) -> list[str]:
    """Name each audit by what sets it apart: data, and where they differ embedder, head, task, seed.

    Audits that differ in nothing of this are numbered.
    """
    options = [_options(cell) for cell in cells]
    differing = [key for key in options[0] if key == "data" or len({option[key] for option in options}) > 1]
    found = [" · ".join(option[key] for key in differing if option[key]) for option in options]
    total, seen = Counter(found), Counter[str]()
    numbered = []
    for name in found:
        seen[name] += 1
        numbered.append(f"{name} ({seen[name]})" if total[name] > 1 else name)
    return numbered


def _options(cell: CellResult) -> dict[str, str]:
    training = cell.config.get("training") or {}
    return {
        "data": str(cell.data.get("name", "data")),
        "target": str(cell.config.get("target") or ""),
        "embedder": str(cell.config.get("embedder") or ""),
        "head": "-".join(str(width) for width in training.get("hidden", ())),
        "seed": f"seed {cell.config.get('seed')}",
    }


def study_verdict(cells: Sequence[CellResult]) -> str:
    """Return what to release over all audits, one sentence a kind of task, each with what it rests on."""
    try:
        found = choosers(cells)
    except NotEnoughEvidence:
        found = []
    decided = [(one, one.at(one.budget)) for one in found if len(one.names) > 1]
    if not decided:
        return study_winner(cells)
    parts = []
    for _, one in decided:
        said = decision(one)
        parts.append(f"{one.task.capitalize()} ({one.cells} of {len(cells)} audits): {said[:1].lower()}{said[1:]}")
        parts += filter(None, [other_knee(one)])
    return " ".join(parts)


def study_winner(cells: Sequence[CellResult]) -> str:
    """Say which quantizer gives away least in most audits, and in how many it is set apart from every other."""
    winners = [(cell, row) for cell in cells if (row := winner(cell)) is not None]
    if not winners:
        known = any(leak(cell, row) for cell in cells for row in cell.rows)
        none = "In no audit do two models predict better than guessing and leak unlike amounts, so nothing is compared."
        return none if known else "Nothing can be said about the leak."
    label, count = Counter(row.label for _, row in winners).most_common(1)[0]
    alone = sum(
        not not_told_apart(cell, row, [other for other in cell.rows if useful(other)])
        for cell, row in winners
        if row.label == label
    )
    apart = "in none of them set apart from every other" if not alone else f"set apart from every other in {alone}"
    left = len(cells) - len(winners)
    out = f" In {left} no two models predict better than guessing and leak unlike amounts." if left else ""
    return f"{capital(label)} gives away least in {count} of {len(cells)} audits, {apart}.{out}"


def study_sentences(cells: Sequence[CellResult]) -> list[str]:
    """Say what was audited, where the leak is largest, and where quantized models stop being useful."""
    data = {str(cell.data.get("name")) for cell in cells}
    embedders = {str(cell.config.get("embedder")) for cell in cells}
    tasks = Counter(str(cell.data.get("task")) for cell in cells)
    kinds = " and ".join(f"{count} {task}" for task, count in sorted(tasks.items()))
    found = [
        study_winner(cells),
        f"{len(cells)} audits ({kinds}) of {len(data)} data set{'s' if len(data) > 1 else ''} with {len(embedders)} "
        f"embedder{'s' if len(embedders) > 1 else ''}.",
    ]
    full = [
        (a, name) for cell, name in zip(cells, audit_names(cells), strict=True) if (a := leak(cell, reference(cell)))
    ]
    if full:
        worst, calm = max(full, key=lambda pair: pair[0].value), min(full, key=lambda pair: pair[0].value)
        found.append(
            f"In full precision the attack's advantage is largest for {worst[1]}, {format_estimate(worst[0])}, and "
            f"smallest for {calm[1]}, {format_estimate(calm[0])}."
        )
    useless = Counter(row.label for cell in cells for row in cell.rows if not useful(row))
    if useless:
        listed = ", ".join(f"{label} in {count}" for label, count in useless.most_common())
        found.append(f"No better than guessing: {listed} of {len(cells)} audits; a small leak is no merit there.")
    return found


def overview(cells: Sequence[CellResult]) -> Table:
    """Return one row per audit: its leak in full precision, the quantizer that leaks least, the one within budget."""
    labels = audit_names(cells)
    lines = []
    for cell, name in zip(cells, labels, strict=True):
        best, full = winner(cell), reference(cell)
        chooser = chooser_of(cell)
        within = chooser.at(chooser.budget).label if chooser else "none"
        measured, n = number_cell(full.metrics.get(cell.primary_metric)), int(cell.data.get("n", 0))
        shown = [
            Cell(name), Cell(str(cell.data.get("task"))), Cell(f"{n:,}", float(n)),
            Cell(f"{metric(cell.primary_metric).name} {measured.text}", measured.value), number_cell(leak(cell, full)),
            Cell(best.label if best else MISSING), number_cell(best and leak(cell, best)), Cell(within),
        ]  # fmt: skip
        lines.append((name, shown))
    return Table(
        title="All audits",
        columns=(
            Column("Audit", "Data set, and what sets this audit apart.", "left"),
            Column("Task", "Kind of task.", "left"),
            Column("Records", "Records in the pool."),
            Column("Full precision", "Task metric on records that did not train the model."),
            Column("Its leak", "Advantage of the leading attack in full precision."),
            Column("Least leak", "Quantizer that leaks least of at least two that predict.", "left"),
            Column("Leak", "Its advantage."),
            Column(
                "Take",
                f"Not told apart from the least leak within {_budgets(cells)}; then cheapest, then smallest.",
                "left",
            ),
        ),
        lines=lines,
        order="By data set, embedder and seed; the heads sort.",
        footnotes=(Footnote("", f"Take: within {_budgets(cells)}, at the worse end of its interval."),),
    )


def _budgets(cells: Sequence[CellResult]) -> str:
    usual = {metric(cell.primary_metric): start_budget(cell) for cell in cells}
    return ", ".join(f"a {known.worsening} of {budget:.3g} {known.name}" for known, budget in usual.items())


def pairs(cells: Sequence[CellResult]) -> list[tuple[int, int]]:
    """Return the pairs of audits to compare: same data with different embedders if there are such, else all."""
    every = list(combinations(range(len(cells)), 2))
    embedders = [
        (i, j)
        for i, j in every
        if cells[i].data.get("name") == cells[j].data.get("name")
        and cells[i].config.get("target") == cells[j].config.get("target")
        and cells[i].config.get("embedder") != cells[j].config.get("embedder")
    ]
    return embedders or every


def tau(a: CellResult, b: CellResult) -> Estimate | None:
    """Return how far two audits agree on the order of the quantizers they share; None with fewer than two."""
    theirs = {row.quantizer: leak(b, row) for row in b.rows}
    shared = [
        (mine, other)
        for row in a.rows
        if (mine := leak(a, row)) is not None and (other := theirs.get(row.quantizer)) is not None
    ]
    if len(shared) < 2:
        return None
    return agreement([mine for mine, _ in shared], [other for _, other in shared])


def agreements(cells: Sequence[CellResult]) -> Table | None:
    """Return Kendall's tau of each pair of audits, most agreement first; None for a single audit."""
    labels, asked = audit_names(cells), pairs(cells)
    found: list[tuple[float, str, str, Estimate]] = []
    for i, j in asked[:MOST_PAIRS]:
        estimate = tau(cells[i], cells[j])
        if estimate is not None:
            found.append((-estimate.value, labels[i], labels[j], estimate))
    if not found:
        return None
    found.sort(key=lambda item: item[:3])
    notes = [Footnote("", text) for text in dict.fromkeys(flag_words(f) for *_, item in found for f in item.flags)]
    if len(asked) > MOST_PAIRS:
        notes.append(Footnote("", f"The first {MOST_PAIRS} of {len(asked)} pairs; the exports hold the rest."))
    attack = short_attack(cells[0].primary_attack)
    return Table(
        title=f"How far audits agree on the order of quantizers by {attack}",
        columns=(
            Column("Audit", "", "left"),
            Column("Audit", "", "left"),
            Column("Kendall's tau", "1 = same order, 0 = unrelated, -1 = reversed."),
            Column("Quantizers", "Number of quantizers both audits hold."),
        ),
        lines=[
            (f"{a} / {b}", [Cell(a), Cell(b), number_cell(item), Cell(str(item.n), float(item.n))])
            for _, a, b, item in found
        ],
        order=f"Brackets: {found[0][3].level:.0%} intervals, every leak redrawn within its own interval.",
        footnotes=tuple(notes),
    )


def rank_cells(cells: Sequence[CellResult]) -> list[dict[str, Any]]:
    """Return one dictionary per audit and quantizer: its rank by leak, least first."""
    found = []
    for cell, name in zip(cells, audit_names(cells), strict=True):
        ranked = [row for row in cell.ranked() if leak(cell, row)]
        for rank, row in enumerate(ranked, start=1):
            number = leak(cell, row)
            words = format_estimate(number) if number else MISSING
            doubt = "" if useful(row) else "; predicts no better than guessing"
            found.append({
                "audit": name, "label": row.label, "rank": rank, "share": rank / len(ranked),
                "text": str(rank) if useful(row) else f"({rank})",
                "tip": f"{name}, {row.label}: rank {rank} of {len(ranked)}, leak {words}{doubt}",
            })  # fmt: skip
    return found
