"""The claims of the source study and the runs they rest on, as pages; written by `python -m benchmarks.claims`, never by hand."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.claims.judging import FEWEST, Claim, claims
from leaq.results import CellResult

__all__ = ["Group", "claims_page", "runs_page"]


@dataclass(frozen=True)
class Group:
    """The finished cells of one run, and the command that computes them."""

    name: str
    cells: Sequence[CellResult]
    command: str = ""


CARE: Mapping[str, str] = {
    "a": "Kinds of quantizers that differ this much in distortion differ in almost anything; which of two at the same "
    "bit width is more private is the harder question, and this is no answer to it.",
    "b1": "A correlation over quantizers within a cell: it says that what distorts less leaks more and predicts "
    "better, not that privacy costs accuracy for every pair of quantizers.",
    "b2": "Skill is R2, or ROC-AUC above 0.5: two scales. That one loses a larger share says nothing about equal harm.",
    "c": "Both follow the distortion of the weights; the Pareto front counts the quantizers no other beats in both.",
    "d": "Quantizers of different sparsity and bits are easy to rank; high agreement on these says little about close "
    "ones.",
    "e": "Among recorded checkpoints only. The weight (delta_2 / delta_k)^2 in lambda_k is at most 1 and falls with k, "
    "which alone favours a low k: this checks that the estimate may stop at low k, and is no discovery about networks.",
    "f1": "One sparse against one dense scheme; 90 % sparsity costs accuracy too.",
    "f2": "Depends on the ranges compared: 33 to 90 % sparse against 2 to 4 bits.",
}
"""What a reader of each verdict should keep in mind."""
AGAINST: Mapping[str, str] = {
    "a": "The attack finds the same leak under every quantizer: either there is little to find (see full precision), "
    "or quantization here removes too little of what members left in the weights.",
    "b1": "Where the metric hardly moves over the quantizers, its order is noise and the correlation falls; where the "
    "noise of a coarse quantizer regularises an overfitted head, it can turn around.",
    "b2": "The source trained other heads and used other tasks. Where classification sits close to chance, a small "
    "absolute loss is a large share of its skill.",
    "c": "An overfitted head can lose its leak without losing its metric; the trade-off then has a free part.",
    "d": "Embedders with few features leave the head little room: the leaks of all quantizers are then small, and "
    "their order is noise.",
    "e": "Checkpoints with near ties (a small delta_2) move the maximum to higher ranks.",
    "f1": "Where the head is wide, 10 % of its weights can hold as much as all the signs.",
    "f2": "Here the step from 2 to 4 bits changes more than sparsity does.",
}
"""What a disagreement with the source study most likely comes from."""


def claims_page(groups: Sequence[Group]) -> str:
    """Write the claims of several runs as a page."""
    lines = [
        "# The claims of the source study, on our own numbers",
        "",
        "Written by `python -m benchmarks.claims`; not edited by hand. A data set counts once, whatever its embedders and seeds.",
        "Intervals are 95 %: Student's t over data sets, n of them (b2: Welch's t; e: Clopper-Pearson). They are wider",
        "than a bootstrap, which covers too little with so few data sets, and are not cut where the statistic ends.",
        "A claim is supported or not supported only if its whole interval lies on one side of the threshold (0 where",
        f"none is named) and at least {FEWEST} data sets speak; otherwise it is undecided. The verdicts of a run are",
        "not corrected for being several. Advantages are lower bounds on the leak, in the game the attack was played",
        "in; no leak found by an attack is not the same as no leak.",
    ]
    for group in groups:
        lines += _group(group)
    lines += ["", "## Read with care", "", *[f"- ({key}) {text}" for key, text in CARE.items()]]
    return "\n".join(lines) + "\n"


def _group(group: Group) -> list[str]:
    cells = group.cells
    attacks = ", ".join(sorted({cell.primary_attack for cell in cells}))
    data = len({cell.data.get("name") for cell in cells})
    lines = ["", f"## {group.name}: {len(cells)} cells, {data} data sets, attack: {attacks}", ""]
    lines += ["| claim | statistic | value [95 %] | n | verdict |", "|---|---|---|---|---|"]
    found = claims(cells)
    for claim in found:
        value, n = "–", 0
        if claim.estimate is not None:
            one, n = claim.estimate, claim.estimate.n
            value = f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]" if n > 1 else f"{one.value:.3f}"
        lines.append(f"| ({claim.key}) {claim.text} | {claim.statistic} | {value} | {n} | **{claim.verdict}** |")
    notes = [f"- ({claim.key}) {text}" for claim in found for text in (claim.more, _why(claim)) if text]
    return [*lines, *(["", *notes] if notes else [])]


def _why(claim: Claim) -> str:
    """Explain a verdict that is not "supported"."""
    if claim.verdict == "not supported":
        return f"**Disagrees with the source.** {AGAINST.get(claim.key, '')}".strip()
    if claim.verdict == "supported":
        return ""
    if claim.estimate is None:
        return "Undecided: the cells do not hold what it needs."
    if claim.estimate.n < FEWEST:
        n = claim.estimate.n
        return f"Undecided: {n} data {'set is' if n == 1 else 'sets are'} too few, {FEWEST} are needed."
    return f"Undecided: the interval holds {claim.threshold:g}. More data sets would narrow it, more seeds hardly."


def runs_page(groups: Sequence[Group]) -> str:
    """Write what was run, on what, and how long it took."""
    lines = [
        "# What was run for these results",
        "",
        "Written by `python -m benchmarks.claims --runs`; not edited by hand. Seconds are wall clock of one task, as measured while",
        "the study ran, other work on the machine included; memory is the process's peak.",
    ]
    for group in groups:
        lines += ["", f"## {group.name}", "", *([f"    {group.command}", ""] if group.command else [])]
        lines += ["| embedder | cells | records | models, s | measures, s | peak memory |", "|---|---|---|---|---|---|"]
        by_embedder: dict[str, list[CellResult]] = {}
        for cell in group.cells:
            by_embedder.setdefault(str(cell.config.get("embedder")), []).append(cell)
        lines += [_cost_line(name, cells) for name, cells in sorted(by_embedder.items())]
        total = sum(_seconds(cell, "models") + _seconds(cell, "measures") for cell in group.cells)
        lines += ["", f"{len(group.cells)} cells, {total / 60:.0f} minutes of tasks in all (medians a cell above)."]
        lines += ["", *_environments(group.cells)]
    return "\n".join(lines) + "\n"


def _cost_line(name: str, cells: Sequence[CellResult]) -> str:
    sizes = sorted(int(cell.data.get("n", 0)) for cell in cells)
    records = f"{sizes[0]}" if sizes[0] == sizes[-1] else f"{sizes[0]} to {sizes[-1]}"
    models, measures = (statistics.median(_seconds(cell, part) for cell in cells) for part in ("models", "measures"))
    memory = max(float(cell.timings.get("peak_memory_bytes", 0.0)) for cell in cells) / 2**30
    return f"| {name} | {len(cells)} | {records} | {models:.1f} | {measures:.1f} | {memory:.1f} GiB |"


def _seconds(cell: CellResult, part: str) -> float:
    return float(cell.timings.get(f"{part}_seconds", 0.0))


def _environments(cells: Sequence[CellResult]) -> list[str]:
    """Say what the cells were computed with; one line an environment, the usual case is one."""
    texts = [", ".join(_environment(cell.environment)) for cell in cells]
    return [f"- {texts.count(text)} cells: {text}" for text in sorted(set(texts)) if text]


def _environment(found: Mapping[str, Any]) -> Iterator[str]:
    for key, value in sorted(found.items()):
        parts = value.items() if isinstance(value, Mapping) else [(key, value)]
        yield from (f"{name} {one}" for name, one in parts)
