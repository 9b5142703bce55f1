"""What to release, in words: the sentences of page, card, command line and notebook about one recommendation."""

from leaq.decisions.choosing import Chooser, Knee, Recommendation, choosers
from leaq.decisions.evidence import FULL
from leaq.errors import NotEnoughEvidence, counted, listed_names
from leaq.results import CellResult, QuantizerRow
from leaq.results.metrics import metric_named
from leaq.stats.digits import format_bound, format_estimate


def chooser_of(result: CellResult) -> Chooser | None:
    """Return what a choice of one audit is made by; None where no leak, no metric or no skill is known."""
    try:
        [found] = choosers([result], level=float(result.config.get("level", 0.95)))
    except NotEnoughEvidence:
        return None
    return found


def decision(found: Recommendation) -> str:
    """Say what to release within the budget, and how sure it is that it gives away less than full precision.

    Examples
    --------
    "Within a loss of 0.02 R², take 4-bit: it gives away 0.10 [0.05, 0.15] less than full precision (0.79)."
    """
    budget = f"Within a {metric_named(found.metric).worsening} of {found.budget:.3g} {found.metric},"
    if not found.quantized and len(found.allowed) == 1:
        near = (
            f"; {found.names[found.nearest]} comes nearest and may lose {found.may_lose:.3g}" if found.nearest else ""
        )
        return f"{budget} no quantizer is to be had beyond doubt{near}."
    if not found.quantized:
        least = f"{found.names[found.smallest]}, which leaks least there, is not told apart from it and loses more"
        return (
            f"{budget} take full precision: {'nothing there leaks less' if found.smallest == found.chosen else least}."
        )
    take = f"{budget} take {found.label}"
    if found.reduction is not None and found.told_apart:
        said = f"{take}: it gives away {format_estimate(found.reduction)} less than full precision"
        return f"{said} ({found.full_precision:.2f})."
    tied = "whose leak is not told apart from the least there, nor from full precision's"
    if found.loss.low > 0:
        return f"{take}: of those {tied}, it loses least."
    return f"{take}: the smallest file without an established {metric_named(found.metric).worsening} {tied}."


def released_as(row: QuantizerRow) -> str:
    """Say how the model was released: in full precision, as it runs where no weights were seen, under a quantizer.

    Examples
    --------
    "in full precision", "as it runs", "under sign"
    """
    if row.quantizer != FULL:
        return f"under {row.label}"
    return f"in {row.label}" if row.label == "full precision" else row.label


def recommendation_words(found: Recommendation) -> str:
    """Return one paragraph: the choice, what is not told apart from it, its corrected leak, and what it rests on."""
    models = len(found.allowed) + len(found.refused)
    rests = f"{counted(found.cells, 'cell')} of {counted(found.data_sets, 'data set')}"
    if found.left_out:
        rests += f" ({found.left_out} more left out: no skill in full precision)"
    alone = len(found.allowed) == 1  # nothing to choose from, so nothing that could have been chosen otherwise
    again = "" if alone else f" It would be chosen again in {found.probability:.0%} of repetitions."
    knee = f" {knee_words(found.knee, found.metric)}" if found.knee else ""
    return (
        f"{decision(found)}{knee} Of the choice: {about_choice(found)}{again} {len(found.allowed)} of "
        f"{counted(models, 'model')} {'keeps' if len(found.allowed) == 1 else 'keep'} within the budget beyond doubt. "
        f"Rests on {rests}; no leak found by this attack is not the same as no leak."
    )


def about_choice(found: Recommendation) -> str:
    """Say how large the leak of the choice is, corrected, and which models are not told apart from it."""
    said = f"leak {format_estimate(found.advantage)}, corrected for having been chosen"
    if found.quantized:
        said += f", {metric_named(found.metric).worsening} of {found.metric} {format_estimate(found.loss)}"
    if not found.tied:
        return f"{said}."
    if found.smallest == found.chosen:
        return f"{said}. Not told apart from it in leak: {listed_names([found.names[name] for name in found.tied])}."
    same = listed_names([found.names[name] for name in found.tied if name != found.smallest])
    return (
        f"{said}. The smallest estimate within the budget is that of {found.names[found.smallest]}, not told apart "
        f"from it{f', nor are {same}' if same else ''}; of these the choice loses least, or is the smallest file that "
        "loses nothing."
    )


def knee_words(knee: Knee, name: str) -> str:
    """Say what the knee of the trade-off is worth.

    Examples
    --------
    "2-bit per channel more than halves the leak (0.79 to 0.35) for at most 0.05 R²."
    """
    does = "more than halves the leak" if knee.halves else f"takes {knee.share:.0%} of the leak away"
    price = f"for at most {format_bound(knee.may_lose, 3, upper=True).rstrip('0').rstrip('.')} {name}"
    if knee.may_lose <= 0:
        price = f"and loses no {name}"
    return f"{capital(knee.label)} {does} ({knee.before:.2f} to {knee.after:.2f}) {price}."


def other_knee(found: Recommendation) -> str:
    """Say what the knee is worth where it is not the choice itself; nothing otherwise."""
    return knee_words(found.knee, found.metric) if found.knee and found.knee.quantizer != found.chosen else ""


def capital(sentence: str) -> str:
    """Begin a sentence with a capital; the rest stays."""
    return sentence[:1].upper() + sentence[1:]
