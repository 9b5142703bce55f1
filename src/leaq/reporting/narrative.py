"""The verdict in plain words: what was audited, what leaks least at which cost, how sure that is, and against whom."""

from collections.abc import Sequence

from leaq.decisions.choosing import Recommendation
from leaq.decisions.evidence import FULL
from leaq.decisions.standing import (
    contends,
    cost,
    is_baseline,
    leak,
    not_told_apart,
    reference,
    useful,
)
from leaq.errors import counted, listed_names
from leaq.reporting.asides import about_calibration, about_forecast, about_releases, about_tasks
from leaq.reporting.decision import about_choice as decided_beside
from leaq.reporting.decision import capital, chooser_of, decision, other_knee, released_as
from leaq.reporting.display_names import attack_name, game_words, metric, short_attack
from leaq.results import CellResult, QuantizerRow
from leaq.stats.digits import format_bound, format_estimate
from leaq.types import Estimate

WEAK = "A weak attacker's numbers, without shadow models: the leak may be far larger."
LOUD = 0.5
"""Advantage from which on, beyond doubt, a weak attacker's number is no comfort: members are told from others."""


def reading(result: CellResult) -> str:
    """Return the result for somebody who is no statistician, a line a matter, the answer first."""
    return "\n".join([verdict(result), *sentences(result), about_r(result)])


def sentences(result: CellResult) -> list[str]:
    """Return what stands behind the verdict, but for r: each is a paragraph of the report."""
    parts = (
        headline(result),
        not_told_apart_words(result),
        choice_doubts(result),
        audited(result),
        attacker(result),
        about_releases(result),
        about_calibration(result),
        useless(result),
        about_tasks(result),
        about_forecast(result),
    )
    return [part for part in parts if part]


def verdict(result: CellResult) -> str:
    """Return what to release, no surer than the paired differences are, and the bargain if another one stands out."""
    return " ".join(outcome(result))


def outcome(result: CellResult) -> list[str]:
    """Return the sentences of the verdict, each for itself: a page sets the first one large."""
    return [*([weak(result)] if _finished(result) else []), *_outcome(result)]


def weak(result: CellResult) -> str:
    """Say of a finished model what an attacker without shadow models is worth, beside what he found."""
    known = [found for row in result.rows if (found := leak(result, row))]
    most = max(known, key=lambda one: one.low, default=None)
    if most is None or most.low <= LOUD:
        return WEAK
    return f"Even a weak attacker, without shadow models, tells members from others: {format_estimate(most)}."


def _outcome(result: CellResult) -> list[str]:
    best, chooser = least(result), chooser_of(result)
    if best is None:
        return [_no_choice(result)]
    rest, same = _beside(result, best)
    if not rest:
        return [_alone(result, best)]
    if chooser is None:  # the game of calibration, in which full precision gives nothing away
        doubt = f"; {_called(same)} cannot be told apart from it" if same else ""
        return [capital(f"{_among(result, best)}{best.label} gives away least{doubt}.")]
    found = chooser.at(chooser.budget)
    return [part for part in (_loud(result, found), decision(found), other_knee(found)) if part]


def _loud(result: CellResult, found: Recommendation) -> str:
    """Say first that a model which predicts nothing gives more away than the choice: no table hides that."""
    loud = [(one, row) for row in result.rows if not useful(row) and (one := leak(result, row)) and one.low > 0]
    most, worst = max(loud, key=lambda pair: pair[0].value, default=(None, None))
    if most is None or worst is None or most.low <= found.advantage.high:
        return ""
    return f"{capital(worst.label)} predicts nothing and gives members away ({format_estimate(most)})."


def choice_doubts(result: CellResult) -> str:
    """Say how large the leak of the choice is, corrected for having been chosen, and what it is not told apart from."""
    chooser, best = chooser_of(result), least(result)
    if chooser is None or best is None or not _beside(result, best)[0]:
        return ""
    found = chooser.at(chooser.budget)
    return f"Of the choice, {found.label}: {decided_beside(found)}" if found.quantized else ""


def _no_choice(result: CellResult) -> str:
    """Say why no row is named: no leak is known, or nothing that leaks little predicts anything."""
    known = [found for row in result.rows if not is_baseline(row) and (found := leak(result, row))]
    if not known:
        lacking = "The attack that leads could not be computed, so nothing is ranked."
        return lacking if any(row.computed for row in result.rows) else "Nothing can be said about the leak."
    if any(found.low > 0 for found in known):
        return f"No model predicts better than guessing, and members are given away all the same: {_span(known)}."
    return f"No model predicts better than guessing, so that no leak is found ({_span(known)}) is no merit."


def _alone(result: CellResult, best: QuantizerRow) -> str:
    """Say why there is nothing to compare the only row with."""
    others = [row for row in result.rows if row is not best and not is_baseline(row)]
    if not others:
        return f"Only {best.label} was measured."
    found = leak(result, best)
    told = f"; its leak is {format_estimate(found)}" if found else ""
    if not any(useful(row) for row in others):
        return f"Only {best.label} predicts better than guessing{told}."
    return f"Only of {best.label} both leak and skill are known{told}."


def _span(found: Sequence[Estimate]) -> str:
    """Return the smallest and the largest of several leaks, or the only one with its interval."""
    if len(found) == 1:
        return format_estimate(found[0])
    ends = min(found, key=lambda one: one.value), max(found, key=lambda one: one.value)
    return " to ".join(dict.fromkeys(format_estimate(one, interval=False) for one in ends))


def _among(result: CellResult, row: QuantizerRow) -> str:
    """Say what a row leaks least of, where rows that are no choice leak less: worthless ones, or another training."""
    mine = leak(result, row)
    less = [
        other
        for other in result.rows
        if not contends(other) and (theirs := leak(result, other)) and (mine is None or theirs.value <= mine.value)
    ]
    if not less:
        return ""
    kind = "the quantizers" if any(is_baseline(other) for other in less) else "those"
    predict = " that still predict" if any(not useful(other) for other in less) else ""
    return f"of {kind}{predict}, "


def _beside(result: CellResult, best: QuantizerRow) -> tuple[list[QuantizerRow], tuple[QuantizerRow, ...]]:
    """Return the other quantizers that still predict, and those of them that are not told apart from `best`."""
    rest = [row for row in result.ranked() if row is not best and contends(row) and leak(result, row)]
    return rest, not_told_apart(result, best, rest) if rest else ()


def audited(result: CellResult) -> str:
    """Say what was audited, and how much of it there is."""
    private = sum(is_baseline(row) for row in result.rows)
    full = reference(result).quantizer == FULL
    data, quantizers = result.data, len(result.rows) - full - private
    models = result.config.get("replicates")
    if data.get("game") == "calibration":
        return (
            f"{data['name']} ({data['task']}): {data['n']:,} records that trained no model were set aside, and the "
            f"quantizers calibrated {models} times, each time on {data['n_train']:,} of them; the attacker tells which."
        )
    attacked = "attacked" if any(row.computed for row in result.rows) else "evaluated"
    kind = f"{len(data['tasks'])} tasks" if data.get("tasks") else data["task"]
    holds = f"{data['name']} holds {data['n']:,} records ({kind});"
    if _finished(result):
        texts = "texts" if data["task"] == "language" else "records"
        told = f"{data['members']:,} members and {data['nonmembers']:,} other {texts} ({data['task']})"
        said = f"{data['name']} was {attacked} on {told},"
    elif data.get("game") == "released":
        said = f"{holds} the released model, trained on {data['n_train']:,} of them, was {attacked}"
    else:
        said = f"{holds} {models} models, each trained on {data['n_train']:,} of them, were {attacked}"
    if data.get("game") == "series":
        said += f" by asking about each of {data['groups']:,} whole groups of them,"
    ways = [released_as(reference(result))] if full else []
    ways += [f"under {counted(quantizers, 'quantizer')}"] if quantizers or not full else []
    return f"{said} {' and '.join(ways)}{f', beside {private} trained with differential privacy' if private else ''}."


def attacker(result: CellResult) -> str:
    """Say who attacks, what he sees and knows, and which game is played."""
    attack = next((a for row in result.rows if (a := row.computed.get(result.primary_attack))), None)
    name = attack_name(result.primary_attack)
    if attack is None:
        if any(row.computed for row in result.rows):
            return f"The attack that leads ({name}) could not be computed; others were, see their numbers."
        return "No attack could be computed, so nothing is known about the leak."
    return f"The attacker ({name}) {attack.attacker}; {game_words(attack.game)}."


def headline(result: CellResult) -> str:
    """Say what full precision gives away, which quantizer gives away least, and what that costs."""
    best, full = least(result), reference(result)
    found, before = leak(result, best) if best else None, leak(result, full)
    if best is None or found is None:
        return ""
    lead = (
        f"In full precision the attacker's advantage over blind guessing (0 = none, 1 = certainty) is "
        f"{format_estimate(before)}. "
        if before is not None and best is not full
        else ""
    )
    rest, _ = _beside(result, best)
    least_of = f"{_among(result, best)}{best.label} leaks least:" if rest else f"{best.label} leaks"
    if rest and _alike(result, best, rest):
        least_of = f"{_called([best, *rest])} leak alike, each"
    said = f"{capital(least_of)} {format_estimate(found)}{_price(result, best)}."
    return lead + " ".join(part for part in (said, about_zero(result, best)) if part)


def about_zero(result: CellResult, row: QuantizerRow) -> str:
    """Say what an interval that reaches 0, or lies below it, means beside what the other attacks found."""
    found = leak(result, row)
    if found is None or found.low > 0:
        return ""
    if found.high < 0:
        return (
            "That interval lies below 0, worse than blind guessing: either chance, or members and non-members differ "
            "in more than membership. Do not read it as safety."
        )
    epsilon = row.computed[result.primary_attack].epsilon
    bound = format_bound(epsilon.low) if isinstance(epsilon, Estimate) else "0"
    quiet = "That interval includes 0: no leak found by this attack"
    if shows := float(bound.replace("∞", "inf")) > 0:  # in digits: not where they are zeros
        quiet = f"That interval includes 0, yet the same attack shows that ε is at least {bound}"
    others = {
        name: attack.advantage
        for name, attack in row.computed.items()
        if name != result.primary_attack and attack.advantage.low > 0
    }
    if not others:
        return f"{quiet}." if shows else f"{quiet}, which does not rule out others."
    name = max(others, key=lambda key: others[key].low)
    found_by = f"{'and' if shows else 'but'} {short_attack(name)} found {'a leak' if shows else 'one'}"
    return f"{quiet}, {found_by} in the same model: {format_estimate(others[name])}."


def least(result: CellResult) -> QuantizerRow | None:
    """Return the row that leaks least among those whose model still predicts something."""
    return next((row for row in result.ranked() if leak(result, row) and contends(row)), None)


def winner(result: CellResult) -> QuantizerRow | None:
    """Return the row that leaks least where another of some use leaks more; least of one, or of equals, is no win."""
    best = least(result)
    return None if best is None or _alike(result, best, _beside(result, best)[0]) else best


def _alike(result: CellResult, best: QuantizerRow, rest: Sequence[QuantizerRow]) -> bool:
    """Whether no other row leaks more by its estimate, as where every record is named or there is no other."""
    most = leak(result, best)
    return most is not None and all(found.value <= most.value for row in rest if (found := leak(result, row)))


def _price(result: CellResult, row: QuantizerRow) -> str:
    price, known, name = cost(result, row), metric(result.primary_metric), metric(result.primary_metric).name
    if price is None or row is reference(result):
        return ""
    if price.low <= 0 <= price.high:
        return f", with no established change of {name} ({known.worsening} {format_estimate(price)})"
    if price.value < 0:
        return f", and {name} improves by {format_estimate(price.mapped(lambda x: -x))}"
    return f", at a cost of {format_estimate(price)} in {name}"


def not_told_apart_words(result: CellResult) -> str:
    """Say which quantizers this audit does not tell apart from the best."""
    best = least(result)
    rest, same = _beside(result, best) if best else ([], ())
    if best is None or not rest:
        return ""
    one = _finished(result) or result.data.get("game") == "released"
    paired = f"compared on the same {'' if one else 'models and '}records"
    if not same:
        return f"Every other leaks more than {best.label}, {paired}: the first place is established for this attack."
    if len(same) == len(rest):
        return f"None of the others leaks more beyond doubt, {paired}: this audit does not tell the quantizers apart."
    return (
        f"This audit does not tell {_called(same)} apart from {best.label}, {paired}. "
        f"{capital(_called([row for row in rest if row not in same]))} "
        f"{'leaks' if len(rest) - len(same) == 1 else 'leak'} more."
    )


def useless(result: CellResult) -> str:
    """Name the quantizers under which nothing is predicted any more."""
    empty = [row for row in result.rows if not useful(row)]
    loud = [row for row in empty if (found := leak(result, row)) and found.low > 0]
    quiet = [row for row in empty if row not in loud]
    parts = []
    if loud:
        span, one = _span([found for row in loud if (found := leak(result, row))]), len(loud) == 1
        does = "predicts no better than guessing and gives" if one else "predict no better than guessing and give"
        parts.append(f"{capital(_called(loud))} {does} members away all the same: {span}.")
    if quiet:
        does = "predicts" if len(quiet) == 1 else "predict"
        said = f"{capital(_called(quiet))} {does} no better than guessing"
        parts.append(f"{said}; that little or no leak is found there is no merit.")
    return " ".join(parts)


def about_r(result: CellResult) -> str:
    """Say what the indicator r adds, and why it does not lead."""
    rated = [(r.value, row) for row in result.rows if isinstance(r := row.measures.get("r"), Estimate)]
    if not rated:
        return "The indicator r could not be computed."
    zero = sum(row.measures["r"].low <= 0 for _, row in rated)  # type: ignore[union-attr]
    nothing = f" r cannot be told from 0 for {zero} of {len(rated)} rows." if zero else ""
    caveat = "r belongs to a set of sampled candidates and does not cover what scales and biases give away"
    unstable = next((flag.text for flag in result.flags if flag.code == "r-order-unstable"), None)
    if unstable:
        share = unstable.split(":", 1)[-1].strip().rstrip(".")
        return f"The indicator r gives no ranking here ({share}); {caveat}.{nothing}"
    if zero == len(rated):
        return f"The indicator r cannot be told from 0 for any row, so that it orders nothing; {caveat}."
    top = max(rated, key=lambda pair: pair[0])[1]
    lead = f"The indicator r is largest (most private) for {top.label}"
    return f"{lead}; {caveat}, so it is shown beside the attacks.{nothing}"


def _finished(result: CellResult) -> bool:
    """Whether a finished model was audited, of which there are no shadow models."""
    return result.config.get("kind") == "model"


def _called(rows: Sequence[QuantizerRow]) -> str:
    return listed_names([row.label for row in rows])
