"""What is said beside the verdict: the forecast, each of several targets, releases together, calibration on members."""

from leaq.attacks.forecast import FORECAST
from leaq.attacks.one_model import SETTINGS
from leaq.decisions.standing import leak, reference, useful
from leaq.measures.one_run import AGREES, WORST
from leaq.reporting.decision import capital, released_as
from leaq.results import CellResult, QuantizerRow
from leaq.stats.digits import format_estimate
from leaq.types import Estimate, NotComputed


def forecast_of(row: QuantizerRow) -> Estimate | None:
    """Return the forecast advantage of a row, if there is one."""
    found = row.measures.get("forecast")
    return found if isinstance(found, Estimate) else None


def about_forecast(result: CellResult) -> str:
    """Say what the attack is expected to find with 64 models, and how much more that is than was found here."""
    shown = [(found, row) for row in result.rows if (found := forecast_of(row)) is not None]
    if not shown:
        return " ".join(part for part in (_from_one(result), _from_run(result)) if part)
    return " ".join(part for part in (_expected(result, shown), _beside(result), _doubted(shown)) if part)


def _from_one(result: CellResult) -> str:
    """Say what is estimated from one model alone, where nobody trained another."""
    shown = [(found, row) for row in result.rows if isinstance(found := row.measures.get("forecast_one"), Estimate)]
    if not shown:
        return ""
    found, row = next((pair for pair in shown if pair[1] is reference(result)), shown[0])
    return (
        f"With shadow models of a recipe the combined attack is estimated to find {format_estimate(found)} "
        f"{released_as(row)}; "
        f"from one model, calibrated on {SETTINGS} other settings; elsewhere such estimates missed by 0.08 on average."
    )


def _from_run(result: CellResult) -> str:
    """Say that a recorded run tells which of its members are exposed most, and how far to trust that."""
    count = result.data.get("recorded", 0)
    if not count or "run_risk" in result.not_computed:
        return ""
    return (
        f"From {count} recorded checkpoints the members of this run were put in the order of their risk, whatever the "
        "quantizer; single ones are named in the internal report alone. In "
        f"{AGREES.n} settings not used for it such an order agreed with the attack's own by {format_estimate(AGREES)} "
        f"of what the attack repeats, at worst by {WORST:.2f}. It tells no level."
    )


def _expected(result: CellResult, shown: list[tuple[Estimate, QuantizerRow]]) -> str:
    full = forecast_of(reference(result))
    said = f" an advantage of {format_estimate(full)} in full precision" if full else ""
    who = "Who sees the outputs and trains 64 models is forecast to find"
    working = [pair for pair in shown if useful(pair[1])]
    if not working:
        return f"{who}{said or ' nothing that can be compared'}."
    least, row = min(working, key=lambda pair: pair[0].value)
    if row is reference(result):
        return f"{who}{said}, and no less under any quantizer that still predicts."
    link = " and least" if said else " least"
    return f"{who}{said}{link} under {row.label}: {format_estimate(least)}."


def _beside(result: CellResult) -> str:
    """Set it against what the attack found with the models of the audit; without one, say that nothing was run."""
    gaps = [gap.value for row in result.rows if isinstance(gap := row.measures.get("forecast_gap"), Estimate)]
    if gaps:
        mean = sum(gaps) / len(gaps)
        return (
            f"On average over {len(gaps)} rows that is {mean:+.3f} against what it found with the models trained here."
        )
    found = [row.attacks[FORECAST] for row in result.rows if FORECAST in row.attacks]
    reasons = [attack.reason.rstrip(".") for attack in found if isinstance(attack, NotComputed)]
    why = f" ({reasons[0]})" if reasons and len(reasons) == len(found) else ""
    return f"Nothing was attacked with it here{why}; docs/fidelity.md tells how far such forecasts are off."


def _doubted(shown: list[tuple[Estimate, QuantizerRow]]) -> str:
    doubted = [row.label for found, row in shown if found.flags]
    if not doubted:
        return ""
    if len(doubted) == len(shown):
        return "Do not trust any of these forecasts: all are flagged."
    return f"Do not trust the forecast under {', '.join(doubted)}: it is flagged."


STRONGEST_FIRST = ("combined(sees=outputs)", "threshold")


def about_tasks(result: CellResult) -> str:
    """Say which task gives most away by its labels alone in the first row that has any, and which least."""
    row = next((one for one in result.rows if one.by_task), None)
    if row is None:
        return ""
    leaks: dict[str, Estimate] = {}
    for name, one in row.by_task.items():
        strongest = next((key for key in STRONGEST_FIRST if key in one.attacks), "")
        if strongest in one.computed:
            leaks[name] = one.computed[strongest].advantage
    if len(leaks) < 2:
        return ""
    most, least = max(leaks, key=lambda name: leaks[name].value), min(leaks, key=lambda name: leaks[name].value)
    apart = leaks[most].low > leaks[least].high
    doubt = "" if apart else "; their intervals overlap, so the order may be chance"
    return (
        f"A record is a member with all its labels. By the labels of one task alone, {most} gives away most under "
        f"{row.label} ({format_estimate(leaks[most])}) and {least} least ({format_estimate(leaks[least])}){doubt}."
    )


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
