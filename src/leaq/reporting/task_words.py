"""What is said of several targets."""

from leaq.results import CellResult
from leaq.stats.digits import format_estimate
from leaq.types import AttackResult, Estimate

STRONGEST_FIRST = ("combined(sees=outputs)", "threshold")


def about_tasks(result: CellResult) -> str:
    """Say which task gives most away by its labels alone in the first row that has any, and which least."""
    row = next((one for one in result.rows if one.by_task), None)
    if row is None:
        return ""
    leaks: dict[str, Estimate] = {}
    for name, one in row.by_task.items():
        found = next((one.attacks[key] for key in STRONGEST_FIRST if key in one.attacks), None)
        if isinstance(found, AttackResult):
            leaks[name] = found.advantage
    if len(leaks) < 2:
        return ""
    most, least = max(leaks, key=lambda name: leaks[name].value), min(leaks, key=lambda name: leaks[name].value)
    apart = leaks[most].low > leaks[least].high
    doubt = "" if apart else "; their intervals overlap, so the order may be chance"
    return (
        f"A record is a member with all its labels. By the labels of one task alone, {most} gives away most under "
        f"{row.label} ({format_estimate(leaks[most])}) and {least} least ({format_estimate(leaks[least])}){doubt}."
    )
