"""Several audits beside each other: names, overview, agreement of orders, verdict, and a study in two tables."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from leaq.decisions.choosing import choosers
from leaq.decisions.evidence import comparable, over_data_sets
from leaq.decisions.standing import leak, not_told_apart, reference, start_budget, useful
from leaq.errors import NotEnoughEvidence, counted, listed_names
from leaq.pipeline.cell import own_models
from leaq.reporting.decision import capital, chooser_of, decision, other_knee
from leaq.reporting.display_names import flag_words, metric, short_attack
from leaq.reporting.narrative import winner
from leaq.reporting.tables import MISSING, Cell, Column, Table, number_cell, plain_notes
from leaq.results import CellResult, QuantizerRow
from leaq.stats.digits import format_estimate
from leaq.stats.ranks import agreement
from leaq.types import Estimate

MOST_PAIRS = 60
"""Pairs of audits a table of agreements lists; the rest is counted."""


def audit_names(cells: Sequence[CellResult]) -> list[str]:
    """Name each audit by what sets it apart: data, and where they differ embedder, head, task, seed.

    Audits that differ in nothing of this are numbered.
    """
    options = [
        {
            "data": cell.name,
            "target": str(cell.config.get("target") or ""),
            "embedder": str(cell.config.get("embedder") or ""),
            "head": own_models(cell.config)
            or "-".join(map(str, (cell.config.get("training") or {}).get("hidden", ()))),
            "seed": f"seed {cell.config.get('seed')}",
        }
        for cell in cells
    ]
    differing = [key for key in options[0] if key == "data" or len({option[key] for option in options}) > 1]
    found = [" · ".join(option[key] for key in differing if option[key]) for option in options]
    total, seen = Counter(found), Counter[str]()
    numbered = []
    for name in found:
        seen[name] += 1
        numbered.append(f"{name} ({seen[name]})" if total[name] > 1 else name)
    return numbered


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
    data = {cell.name for cell in cells}
    embedders = {str(cell.config.get("embedder")) for cell in cells}
    tasks = Counter(str(cell.data.get("task")) for cell in cells)
    kinds = " and ".join(f"{count} {task}" for task, count in sorted(tasks.items()))
    found = [
        study_winner(cells),
        f"{len(cells)} audits ({kinds}) of {counted(len(data), 'data set')} with "
        f"{counted(len(embedders), 'embedder')}.",
    ]
    leaks = {name: leak(cell, reference(cell)) for cell, name in zip(cells, audit_names(cells), strict=True)}
    full = [(a.value, name, a) for name, a in leaks.items() if a]
    if full:
        (_, worst, most), (_, calm, least) = (pick(full, key=lambda one: one[0]) for pick in (max, min))
        found.append(
            f"In full precision the attack's advantage is largest for {worst}, {format_estimate(most)}, and smallest "
            f"for {calm}, {format_estimate(least)}."
        )
    useless = Counter(row.label for cell in cells for row in cell.rows if not useful(row))
    if useless:
        listed = ", ".join(f"{label} in {count}" for label, count in useless.most_common())
        found.append(f"No better than guessing: {listed} of {len(cells)} audits; a small leak is no merit there.")
    return found


def overview(cells: Sequence[CellResult]) -> Table:
    """Return one row per audit: its leak in full precision, the quantizer that leaks least, the one within budget."""
    usual = {metric(cell.primary_metric): start_budget(cell) for cell in cells}
    budgets = ", ".join(f"a {known.worsening} of {budget:.3g} {known.name}" for known, budget in usual.items())
    lines = []
    for cell, name in zip(cells, audit_names(cells), strict=True):
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
                "Take", f"Not told apart from the least leak within {budgets}; then cheapest, then smallest.", "left"
            ),
        ),
        lines=lines,
        order="By data set, embedder and seed; the heads sort.",
        footnotes=plain_notes([f"Take: within {budgets}, at the worse end of its interval."]),
    )


def pairs(cells: Sequence[CellResult]) -> list[tuple[int, int]]:
    """Return the pairs of audits to compare: same data with different embedders if there are such, else all."""
    every = list(combinations(range(len(cells)), 2))
    data = [(cell.name, cell.config.get("target")) for cell in cells]
    embedders = [cell.config.get("embedder") for cell in cells]
    return [(i, j) for i, j in every if data[i] == data[j] and embedders[i] != embedders[j]] or every


def tau(a: CellResult, b: CellResult) -> Estimate | None:
    """Return how far two audits agree on the order of the quantizers they share; None with fewer than two."""
    mine, theirs = ({row.quantizer: one for row in cell.rows if (one := leak(cell, row))} for cell in (a, b))
    shared = [name for name in mine if name in theirs]
    return agreement([mine[name] for name in shared], [theirs[name] for name in shared]) if len(shared) > 1 else None


def agreements(cells: Sequence[CellResult]) -> Table | None:
    """Return Kendall's tau of each pair of audits, most agreement first; None for a single audit."""
    labels, asked = audit_names(cells), pairs(cells)
    told = [(labels[i], labels[j], tau(cells[i], cells[j])) for i, j in asked[:MOST_PAIRS]]
    found = sorted([(-item.value, a, b, item) for a, b, item in told if item], key=lambda one: one[:3])
    if not found:
        return None
    notes = dict.fromkeys(flag_words(flag) for *_, item in found for flag in item.flags)
    rest = f"The first {MOST_PAIRS} of {len(asked)} pairs; the exports hold the rest."
    return Table(
        title=f"How far audits agree on the order of quantizers by {short_attack(cells[0].primary_attack)}",
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
        footnotes=plain_notes([*notes, rest if len(asked) > MOST_PAIRS else ""]),
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


Read = Callable[[CellResult, QuantizerRow], Estimate | None]


def by_quantizer(cells: Sequence[CellResult]) -> list[Table]:
    """Return one table a kind of task: each quantizer's leak, metric and cost over all cells, least leak first."""
    return [_of_task(group, task) for task, group in comparable(cells).items()]


def _of_task(cells: Sequence[CellResult], task: str) -> Table:
    key = cells[0].primary_metric
    labels = {row.quantizer: row.label for cell in cells for row in cell.rows}
    reads: tuple[Read, ...] = (
        leak,
        lambda cell, row: _estimate(row.metrics.get(key)) if useful(reference(cell)) else None,
        lambda cell, row: _estimate(row.drops.get(key)) if useful(reference(cell)) else None,
    )
    low, high = metric(key).bounds
    bounds = ((-1.0, 1.0), (low, high), (low - high, high - low))
    found = {
        name: [_mean(cells, name, read, within) for read, within in zip(reads, bounds, strict=True)] for name in labels
    }
    order = sorted(labels, key=lambda name: one.value if (one := found[name][0]) else float("inf"))
    names = len({cell.name for cell in cells})
    without = sum(not useful(reference(cell)) for cell in cells)
    lines = []
    for name in order:
        here = [row for cell in cells for row in cell.rows if row.quantizer == name]
        useless = sum(not useful(row) for row in here)
        bits = "/".join(dict.fromkeys(row.size.bits_words for row in here[:1]))
        counts = [Cell(bits), Cell(str(len(here))), Cell(str(useless or MISSING))]
        # The mean over one data set is a number without interval.
        means = [Cell(f"{one.value:.3f}", one.value) if one and one.n < 2 else number_cell(one) for one in found[name]]
        lines.append((labels[name], [Cell(labels[name]), *means, *counts]))
    attack = short_attack(cells[0].primary_attack)
    return Table(
        title=f"{task}: quantizers over {counted(len(cells), 'cell')} of {counted(names, 'data set')}",
        columns=(
            Column("Quantizer", "Full precision and every way of quantizing.", "left"),
            Column(f"Leak ({attack})", "Mean advantage over data sets."),
            Column(metric(key).name, "Mean over data sets."),
            Column("Change", "Mean change against full precision."),
            Column("Bits", "Bits a weight, in the first cell."),
            Column("Cells", "Audits it was measured in."),
            Column("No skill", "Audits in which it predicts no better than guessing."),
        ),
        lines=lines,
        order="Least leak first. A data set counts once, whatever its embedders, heads and seeds.",
        footnotes=plain_notes(
            [
                "One data set: means over its cells, without interval. Every cell's own intervals: --cells."
                if names < 2
                else f"Brackets: 95% intervals, Student's t over {names} data sets; what another data set would give "
                "is in them.",
                f"{metric(key).name} and change leave out {counted(without, 'cell')} without skill in full precision."
                if without
                else "",
            ]
        ),
    )


def by_data_set(cells: Sequence[CellResult]) -> Table:
    """Return one row a data set: its leak and metric in full precision, and which quantizer leaks least how often."""
    groups: dict[str, list[CellResult]] = {}
    for cell in cells:
        groups.setdefault(cell.name, []).append(cell)
    lines = []
    for name, group in groups.items():
        key = group[0].primary_metric
        full = [reference(cell) for cell in group]
        leaks = _range([one.value for cell, row in zip(group, full, strict=True) if (one := leak(cell, row))])
        skill = _range([one.value for row in full if (one := _estimate(row.metrics.get(key)))])
        winners = Counter(row.label for cell in group if (row := winner(cell)))
        count = max(winners.values(), default=0)
        first = [label for label, times in winners.items() if times == count]
        often = f"{count} of {len(group)}{' each' * (len(first) > 1)}"
        records = int(group[0].data.get("n", 0))
        embedders = len({str(cell.config.get("embedder")) for cell in group})
        shown = [
            Cell(name), Cell(str(group[0].data.get("task"))), Cell(f"{records:,}", float(records)),
            Cell(str(embedders), float(embedders)), Cell(str(len(group)), float(len(group))),
            Cell(f"{metric(key).name} {skill}", skill), Cell(leaks), Cell(listed_names(first) or MISSING),
            Cell(often, float(count)),
        ]  # fmt: skip
        lines.append((name, shown))
    return Table(
        title="Data sets",
        columns=(
            Column("Data set", "", "left"),
            Column("Task", "", "left"),
            Column("Records", "Records in the pool."),
            Column("Embedders", "How many."),
            Column("Cells", "Audits."),
            Column("Full precision", "Task metric: median, smallest to largest over its cells."),
            Column("Its leak", "Advantage of the leading attack in full precision: median, smallest to largest."),
            Column("Least leak", "Quantizer that leaks least in most cells in which two models predict.", "left"),
            Column("In", "Cells in which it does."),
        ),
        lines=lines,
        order="Full precision and its leak: median over cells (smallest to largest).",
    )


def _mean(cells: Sequence[CellResult], name: str, read: Read, within: tuple[float, float]) -> Estimate | None:
    """Return the mean over data sets; its interval ends where the number itself must end."""
    found = [
        (one.value, cell.name)
        for cell in cells
        for row in cell.rows
        if row.quantizer == name and (one := read(cell, row)) is not None and np.isfinite(one.value)
    ]
    mean = over_data_sets(*map(list, zip(*found, strict=True))) if found else None
    return None if mean is None else replace(mean, low=max(mean.low, within[0]), high=min(mean.high, within[1]))


def _estimate(found: object) -> Estimate | None:
    return found if isinstance(found, Estimate) else None


def _range(values: Sequence[float]) -> str:
    if not values:
        return MISSING
    middle, low, high = np.median(values), min(values), max(values)
    return f"{middle:.2f}" if len(values) == 1 else f"{middle:.2f} ({low:.2f} to {high:.2f})"
