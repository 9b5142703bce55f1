"""lambda_k against k, in words and in a table: which candidates decide r."""

from leaq.reporting.tables import Column, Footnote, Table
from leaq.results import CellResult, Curve

__all__ = ["lambda_table", "statement"]


def lambda_table(result: CellResult) -> Table:
    """Return lambda_k over its largest (which is r / r_k) for every quantizer and k, with its band."""
    rows, keys, notes = [], [], []
    for row in result.rows:
        curve = row.curves.get("lambda_k")
        if curve is None:
            continue
        bands = zip(curve.x, curve.y, curve.low or curve.y, curve.high or curve.y, strict=True)
        rows += [(row.label, f"{k:.0f}", f"{y:.3f}", f"[{low:.3f}, {high:.3f}]") for k, y, low, high in bands]
        keys += [row.quantizer] * len(curve.x)
        notes.append(Footnote("", f"{row.label}: {statement(curve)}"))
    columns = (
        Column("quantizer", "", "left"),
        Column("k", "candidates in order of their mean loss, the best being 1"),
        Column("lambda_k / max", "1 where the candidate decides r; equal to r / r_k"),
        Column("band", "central share of models and bootstrap draws"),
    )
    cells = tuple(rows)
    return Table("lambda_k against k", columns, cells, cells, tuple(keys), "By quantizer, then k.", tuple(notes))


def statement(curve: Curve) -> str:
    """Say where the curve peaks, and whether that is among the lowest quarter of k.

    Examples
    --------
    >>> statement(Curve((2.0, 3.0, 4.0, 5.0), (1.0, 0.5, 0.1, 0.0)))
    'the largest lambda_k is at k = 2 of 5, at low k: candidates near the optimum decide r in this run.'
    """
    peak = max(range(len(curve.y)), key=curve.y.__getitem__)
    k, last = curve.x[peak], curve.x[-1]
    if peak < max(1, -(-len(curve.y) // 4)):
        end = "at low k: candidates near the optimum decide r in this run."
    else:
        end = "not at low k: sampling near the optimum alone would overstate r in this run."
    return f"the largest lambda_k is at k = {k:.0f} of {last:.0f}, {end}"
