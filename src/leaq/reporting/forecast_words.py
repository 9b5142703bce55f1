"""The forecast of LiRA in sentences: what is expected, how far off it is where LiRA was run, when not to trust it."""

from leaq.results import CellResult, QuantizerRow
from leaq.stats.digits import format_estimate
from leaq.study.standing import reference, useful
from leaq.types import Estimate, NotComputed

__all__ = ["about_forecast", "forecast_of"]

CLOSE = 0.05
"""A mean difference from the attack that was run below which the forecast is called close."""


def forecast_of(row: QuantizerRow) -> Estimate | None:
    """Return the forecast advantage of a row, if there is one."""
    found = row.measures.get("forecast")
    return found if isinstance(found, Estimate) else None


def about_forecast(result: CellResult) -> str:
    """Say what LiRA with 64 models is expected to find, and how far the forecast is off where LiRA was run."""
    shown = [(found, row) for row in result.rows if (found := forecast_of(row)) is not None]
    if not shown:
        return ""
    return " ".join(part for part in (_expected(result, shown), _checked(result), _doubted(shown)) if part)


def _expected(result: CellResult, shown: list[tuple[Estimate, QuantizerRow]]) -> str:
    full = forecast_of(reference(result))
    said = f" an advantage of {format_estimate(full)} in full precision" if full else ""
    working = [pair for pair in shown if useful(pair[1])]
    if not working:
        return f"With 64 models LiRA is forecast to find{said or ' nothing that can be compared'}."
    least, row = min(working, key=lambda pair: pair[0].value)
    if row is reference(result):
        return f"With 64 models LiRA is forecast to find{said}, and no less under any quantizer that still predicts."
    link = " and least" if said else " least"
    return f"With 64 models LiRA is forecast to find{said}{link} under {row.label}: {format_estimate(least)}."


def _checked(result: CellResult) -> str:
    """Compare with the attack that was run; without one, say that nothing was."""
    gaps = [(gap.value, row) for row in result.rows if isinstance(gap := row.measures.get("forecast_gap"), Estimate)]
    if not gaps:
        found = [attack for row in result.rows for name, attack in row.attacks.items() if name.startswith("lira")]
        reasons = [attack.reason.rstrip(".") for attack in found if isinstance(attack, NotComputed)]
        if not found:
            return "LiRA was not run here, so the forecast stands unchecked by it."
        why = f" ({reasons[0]})" if len(reasons) == len(found) else ""
        return f"The forecast stands unchecked: it could not be compared with LiRA here{why}."
    mean = sum(abs(value) for value, _ in gaps) / len(gaps)
    worst, row = max(gaps, key=lambda pair: abs(pair[0]))
    return (
        f"For as many models as were trained here the forecast is {'' if mean <= CLOSE else 'not close: '}"
        f"{mean:.3f} away from what LiRA found, on average over {len(gaps)} rows, and furthest under {row.label} "
        f"({worst:+.3f})."
    )


def _doubted(shown: list[tuple[Estimate, QuantizerRow]]) -> str:
    doubted = [row.label for found, row in shown if found.flags]
    if not doubted:
        return ""
    if len(doubted) == len(shown):
        return "Do not trust any of these forecasts: all are flagged."
    return f"Do not trust the forecast under {', '.join(doubted)}: it is flagged."
