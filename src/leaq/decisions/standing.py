"""How each row of an audit stands: its leak, what it costs, whether it is a choice to take, the Pareto front.

Only compares what the result holds. Two quantizers that the audit does not tell apart (`CellResult.told_apart`) are
never called different. `leaq.decisions.choosing` takes one of them.
"""

from collections.abc import Sequence

from leaq.results import CellResult, QuantizerRow
from leaq.results.metrics import metric
from leaq.types import AttackResult, Estimate, NotComputed

BUDGET = "max_drop"
"""Under which an audit's data keep the loss that its rows were chosen within."""


def leak(result: CellResult, row: QuantizerRow) -> Estimate | None:
    """Return the advantage of the attack the result is ordered by, if it was computed."""
    attack = row.attacks.get(result.primary_attack)
    return attack.advantage if isinstance(attack, AttackResult) else None


def reference(result: CellResult) -> QuantizerRow:
    """Return the row of full precision, which every cost is counted from."""
    return next((row for row in result.rows if row.quantizer in ("none", "identity")), result.rows[0])


def cost(result: CellResult, row: QuantizerRow) -> Estimate | None:
    """Return what a quantizer loses in the primary metric, positive = worse; 0 by definition in full precision."""
    change = row.drops.get(result.primary_metric)
    if isinstance(change, Estimate):
        # Adding 0.0 turns -0.0 into 0.0, which would print as "-0".
        return change.mapped(lambda x: -x + 0.0) if metric(result.primary_metric).larger_is_better else change
    if row is reference(result):
        value = row.metrics.get(result.primary_metric)
        n = value.n if isinstance(value, Estimate) else 0
        return Estimate(0.0, 0.0, 0.0, n, method="reference")
    return None


def useful(row: QuantizerRow) -> bool:
    """Tell whether the quantized model still predicts better than guessing; if not, its small leak is no merit."""
    return all(flag.code != "no-skill" for flag in row.flags)


def is_baseline(row: QuantizerRow) -> bool:
    """Tell whether a row stands beside the quantizers for comparison: another training, with differential privacy."""
    return any(flag.code == "dp-sgd" for flag in row.flags)


def contends(row: QuantizerRow) -> bool:
    """Tell whether a row is a choice to take: this model, released in a form that still predicts."""
    return useful(row) and not is_baseline(row)


def front(result: CellResult) -> tuple[QuantizerRow, ...]:
    """Return the choices that no other beats in both leak and cost (point estimates), cheapest first."""
    points = [
        (c.value, a.value, row)
        for row in result.rows
        if contends(row) and (c := cost(result, row)) and (a := leak(result, row))
    ]
    kept = [
        (x, y, row)
        for x, y, row in points
        if not any((u <= x and v <= y) and (u < x or v < y) for u, v, other in points if other is not row)
    ]
    return tuple(row for _, _, row in sorted(kept, key=lambda point: point[:2]))


def start_budget(result: CellResult) -> float:
    """Return the budget a report starts with: what the rows were chosen within (`leaq.protect`), where they were.

    Otherwise one point of AUC or accuracy, two of R², 2 % of anything else.
    """
    given = result.data.get(BUDGET)
    if given is not None:
        return float(given)
    usual = metric(result.primary_metric).budget
    if usual is not None:
        return usual
    value = reference(result).metrics.get(result.primary_metric)
    return 0.02 if isinstance(value, NotComputed) or value is None else abs(value.value) * 0.02


def not_told_apart(
    result: CellResult, row: QuantizerRow, rows: Sequence[QuantizerRow] = ()
) -> tuple[QuantizerRow, ...]:
    """Return the other rows whose leak this audit does not tell apart from that of `row`."""
    if leak(result, row) is None:
        return ()
    others = [other for other in rows or result.ranked() if other is not row and leak(result, other)]
    return tuple(other for other in others if not result.told_apart(row, other))
