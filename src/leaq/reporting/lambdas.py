"""lambda_k against k, in words and in a table: which candidates decide r."""

from collections.abc import Mapping
from typing import Literal

from leaq.reporting.tables import Cell, Column, Footnote, Table
from leaq.results import Curve

Verdict = Literal["low k", "not at low k", "undecided"]


def lambda_table(curves: Mapping[str, Curve]) -> Table:
    """Return lambda_k over its largest (which is r / r_k) for every k, with its band; `curves` by quantizer's label."""
    lines, notes = [], []
    for label, curve in curves.items():
        bands = zip(curve.x, curve.y, curve.low or curve.y, curve.high or curve.y, strict=True)
        texts = [(label, f"{k:.0f}", f"{y:.3f}", f"[{low:.3f}, {high:.3f}]") for k, y, low, high in bands]
        lines += [(label, [*map(Cell, text)]) for text in texts]
        notes.append(Footnote("", f"{label}: {statement(curve)}"))
    columns = (
        Column("quantizer", "", "left"),
        Column("k", "candidates in order of their mean loss, the best being 1"),
        Column("lambda_k / max", "1 where the candidate decides r; equal to r / r_k"),
        Column("band", "central share of models and bootstrap draws"),
    )
    return Table("lambda_k against k", columns, lines, "By quantizer, then k.", tuple(notes))


def peak(curve: Curve) -> int:
    """Return the k at which the curve is largest."""
    return round(curve.x[max(range(len(curve.y)), key=curve.y.__getitem__)])


def lambda_verdict(curve: Curve) -> Verdict:
    """Say whether the candidate that decides r is among the lowest quarter of k (at least one).

    A candidate may decide where its band reaches the largest value: it then does in a share of models and bootstrap
    draws that the band does not cut off. Undecided if such candidates are found on both sides.
    """
    lowest = max(1, -(-len(curve.y) // 4))
    may = [high >= max(curve.y) * (1 - 1e-9) for high in curve.high or curve.y]
    if any(may[:lowest]) and any(may[lowest:]):
        return "undecided"
    return "low k" if any(may[:lowest]) else "not at low k"


def statement(curve: Curve) -> str:
    """Say where the curve peaks, and whether that is established to be at low k.

    Examples
    --------
    >>> statement(Curve((2.0, 3.0, 4.0, 5.0), (1.0, 0.5, 0.1, 0.0)))
    'the largest lambda_k is at k = 2 of 5, at low k: candidates near the optimum decide r in this run.'
    """
    end = {
        "low k": ", at low k: candidates near the optimum decide r in this run.",
        "not at low k": ", not at low k: sampling near the optimum alone would overstate r in this run.",
        "undecided": "; undecided: the bands of candidates at low k and of others both reach the largest value.",
    }
    return f"the largest lambda_k is at k = {peak(curve)} of {curve.x[-1]:.0f}{end[lambda_verdict(curve)]}"
