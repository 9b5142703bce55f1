"""What several releases give away together, and what calibrating on members costs, in sentences."""

from leaq.decisions.standing import leak
from leaq.reporting.decision import capital
from leaq.results import CellResult, QuantizerRow
from leaq.stats.digits import format_estimate
from leaq.types import Estimate


def about_releases(result: CellResult) -> str:
    """Say what each set of releases gives away, and how much more than the most revealing of them alone."""
    return " ".join(_set(result, row) for row in result.together if leak(result, row))


def _set(result: CellResult, row: QuantizerRow) -> str:
    found, more = leak(result, row), row.measures.get("leak_vs_single")
    if found is None:
        return ""
    said = f"Whoever holds {row.label} together has an advantage of {format_estimate(found)}"
    if not isinstance(more, Estimate):
        return f"{said}."
    doubt = "; not told apart from it" if more.low <= 0 <= more.high else ""
    return f"{said}, {format_estimate(more, sign=True)} against the most revealing of them alone{doubt}."


def about_calibration(result: CellResult) -> str:
    """Say how much more leaks where a quantizer is calibrated on members instead of on records set aside."""
    return " ".join(
        f"{capital(row.label)} leaks {format_estimate(price, sign=True)} calibrated on members, "
        f"against records that train no model{'; not told apart' if price.low <= 0 <= price.high else ''}."
        for row in result.rows
        if isinstance(price := row.measures.get("leak_vs_elsewhere"), Estimate)
    )
