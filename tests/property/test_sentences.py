"""Every sentence of the narrative is held against the numbers it speaks of, on results built at random."""

import re
from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from leaq.decisions.choosing import recommend
from leaq.reporting.narrative import about_zero, audited, choice_doubts, headline, least, reading, useless, verdict
from leaq.reporting.study_tables import study_winner
from leaq.results import CellResult, Comparison
from leaq.stats.digits import format_estimate
from leaq.types import AttackResult, Estimate, Flag, NotComputed
from tests.results import attack, cell, estimate, row

NO_SKILL, PRIVATE = Flag("no-skill", "Predicts nothing."), Flag("dp-sgd", "Trained with noise.")
LABELS = ("full precision", "alpha", "beta", "gamma", "delta")
leaks = st.sampled_from((-0.2, -0.03, 0.0, 0.01, 0.05, 0.3, 0.95))
halves = st.sampled_from((0.005, 0.04, 0.1))


@st.composite
def rows(draw, at):
    spec, label = ("none" if at == 0 else LABELS[at]), LABELS[at]
    flags = draw(st.sampled_from(((), (), (), (NO_SKILL,), (PRIVATE,) if at else ())))
    drop = 0.0 if at == 0 else draw(st.sampled_from((-0.4, -0.03, -0.001, 0.0, 0.02)))
    made = row(spec, label, draw(leaks), drop, half=draw(halves), flags=flags)
    attacks = {"threshold": attack("threshold", draw(leaks), draw(halves)), **made.attacks}
    attacks["rmia"] = attack("rmia", draw(leaks), draw(halves))
    if draw(st.integers(0, 9)) == 0:
        attacks["lira"] = NotComputed("needs 8 models.")
    for name in draw(st.sets(st.sampled_from(sorted(attacks)), max_size=2)):
        attacks.pop(name)
    measures = {**made.measures, "r": estimate(0.01, draw(st.sampled_from((0.005, 0.01, 0.02))))}
    return replace(made, attacks=attacks, measures=measures)


@st.composite
def results(draw):
    count = draw(st.integers(1, len(LABELS)))
    drawn = [draw(rows(at)) for at in range(count)]
    if draw(st.integers(0, 4)) == 0:
        drawn = [replace(one, flags=(NO_SKILL,)) for one in drawn]
    made = cell(*drawn)
    primary = draw(st.sampled_from(("lira", "threshold", "rmia")))
    return replace(made, primary_attack=primary, comparison=draw(comparisons(made)))


@st.composite
def comparisons(draw, made):
    """None, or what a paired comparison of all rows is worth: differences known better than each leak."""
    if not draw(st.booleans()):
        return None
    size = len(made.rows)
    own, apart = draw(st.sampled_from((0.02, 0.05))), draw(st.sampled_from((0.002, 0.02)))
    errors = tuple(tuple(own if i == j else apart for j in range(size)) for i in range(size))
    return Comparison(tuple(one.quantizer for one in made.rows), errors, 2.5)


def no_skill(one):
    return NO_SKILL in one.flags


def contends(one):
    return not one.flags


def found(result: CellResult, one) -> Estimate | None:
    attack = one.attacks.get(result.primary_attack)
    return attack.advantage if isinstance(attack, AttackResult) else None


def named(result, label):
    return next(one for one in result.rows if one.label.lower() == label.strip().lower())


def computed(result):
    return [name for one in result.rows for name, item in one.attacks.items() if isinstance(item, AttackResult)]


LEAST = re.compile(
    r"(of (?:those|the quantizers)(?: that still predict)?, )?([\w ]+?) (?:gives away least|leaks least)", re.I
)


def check_least(result, sentence, candidates=None):
    """Whoever is called least has the smallest leak of all that the words compare it with."""
    for among, label in LEAST.findall(sentence):
        one = named(result, label)
        others = [other for other in candidates or result.rows if other is not one and found(result, other)]
        if "predict" in among:
            others = [other for other in others if not no_skill(other)]
        if "quantizers" in among:
            others = [other for other in others if PRIVATE not in other.flags]
        assert all(found(result, one).value <= found(result, other).value for other in others), sentence


@settings(max_examples=80, deadline=None)
@given(results())
def test_the_verdict(result):
    said = verdict(result)
    check_least(result, said)
    usable = [one for one in result.rows if contends(one) and found(result, one)]
    others = [one for one in result.rows if PRIVATE not in one.flags]
    if said.startswith("Nothing can be said"):
        assert not computed(result)
    if "could not be computed, so nothing is ranked" in said:
        assert computed(result)
        assert not any(found(result, one) for one in others)
    if said.startswith("No model predicts"):
        assert not usable
        loud = any(found(result, one) and found(result, one).low > 0 for one in others)
        assert loud == ("given away all the same" in said)
    if said.endswith("was measured."):
        assert len(others) == 1
    if said.startswith("Only") and "predicts better than guessing" in said:
        assert [one for one in others if not no_skill(one)] == [named(result, said[5:].split(" predicts")[0])]
    if "Within a loss" in said:
        check_decision(result, said)


def check_decision(result, said):
    """The choice is held against rules of its own: within the budget, tied with the least, none better among those."""
    told = re.search(r"Within a loss of 0.01 ROC-AUC, (?:take ([\w ]+?)[:.]|no quantizer is to be had)", said)
    chosen = named(result, told[1] or "full precision")
    full = result.rows[0]
    assert not no_skill(full)
    known = [one for one in result.rows if contends(one) and found(result, one)]
    # Losses count at an interval for all rows at once, which is at least as wide as each row's own.
    surely_out = [one for one in known if one is not full and one.drops["roc_auc"].low < -0.01]
    assert chosen in known
    assert chosen not in surely_out
    [choice] = recommend([result])
    allowed = [one for one in known if one.quantizer in choice.allowed]
    assert not set(map(id, allowed)) & set(map(id, surely_out))
    smallest = min(allowed, key=lambda one: found(result, one).value)
    tied = [one for one in allowed if one is smallest or not result.told_apart(smallest, one)]
    assert chosen in tied
    lost = [one for one in tied if one is not full and one.drops["roc_auc"].high < -0.004]
    if chosen in lost:
        assert full not in tied
    if "less than full precision" in said.split(". ")[0]:
        assert result.told_apart(full, chosen)
        assert found(result, full).value > found(result, chosen).value
    if "nor from full precision's" in said:
        assert not result.told_apart(full, chosen)
    if "the smallest file without" in said:
        keeps = [one for one in tied if one is full or one.drops["roc_auc"].high >= 0]
        assert chosen.size.bytes <= min(one.size.bytes for one in keeps)
    if "nothing there leaks less" in said:
        assert smallest is full
    assert choice.advantage.value >= found(result, chosen).value - 0.02
    knee = re.search(r"([\w ]+?) (?:more than halves|takes (\d+)% of) the leak", said)
    if knee:
        bargain = named(result, knee[1])
        before, after = found(result, full).value, found(result, bargain).value
        assert result.told_apart(full, bargain)
        assert not no_skill(bargain)
        assert before - after >= (0.2 if knee[2] else 0.5) * before - 1e-9
        if knee[2]:
            assert abs(int(knee[2]) / 100 - min(1, (before - after) / before)) <= 0.0051


@settings(max_examples=80, deadline=None)
@given(results())
def test_the_headline(result):
    said = headline(result)
    check_least(result, said)
    best = least(result)
    if best is None:
        assert said == ""
        return
    leak = found(result, best)
    assert format_estimate(leak) in said
    assert ("includes 0" in said) == (leak.low <= 0 <= leak.high)
    assert ("lies below 0" in said) == (leak.high < 0)
    others = [item.advantage for name, item in best.attacks.items()
              if name != result.primary_attack and isinstance(item, AttackResult)]  # fmt: skip
    if "does not rule out others" in said:
        assert all(other.low <= 0 for other in others)
    if "found one in the same model" in said or "found a leak in the same model" in said:
        assert any(other.low > 0 for other in others)
    assert ("found a leak in the same model" in said) <= ("shows that ε is at least" in said)
    change = best.drops.get("roc_auc")
    if change is not None:
        assert ("at a cost of" in said) == (change.high < 0)
        assert ("improves by" in said) == (change.low > 0)
        assert ("no established change" in said) == (change.low <= 0 <= change.high)


@settings(max_examples=80, deadline=None)
@given(results())
def test_what_is_worth_nothing(result):
    said = useless(result)
    empty = {one.label.lower() for one in result.rows if no_skill(one)}
    spoken = re.findall(r"(?:^|\. )([\w ,]+?) predicts? no better than guessing", said)
    assert {name for part in spoken for name in re.split(r", | and ", part.lower())} == empty
    loud = [one for one in result.rows if no_skill(one) and found(result, one) and found(result, one).low > 0]
    assert ("members away all the same" in said) == bool(loud)
    if "is no merit" in said:
        quiet = said.rsplit(".", 2)[-2]
        assert not any(one.label.lower() in quiet.lower() for one in loud)


@settings(max_examples=80, deadline=None)
@given(results())
def test_what_was_audited_and_what_r_says(result):
    said = audited(result)
    private = sum(PRIVATE in one.flags for one in result.rows)
    under = re.search(r"under (\d+) quantizer", said)
    assert (int(under[1]) if under else 0) == len(result.rows) - 1 - private
    assert ("were attacked" in said) == bool(computed(result))
    assert (f"beside {private} trained with differential privacy" in said) == (private > 0)
    words = reading(result)
    zero = sum(one.measures["r"].low <= 0 for one in result.rows)
    every = zero == len(result.rows)
    assert ("r cannot be told from 0 for any row, so that it orders nothing" in words) == every
    assert (f"r cannot be told from 0 for {zero} of {len(result.rows)} rows" in words) == (zero > 0 and not every)
    assert not (every and "is largest (most private)" in words)
    assert ("nothing is known about the leak" in words) == (not computed(result))


@settings(max_examples=80, deadline=None)
@given(results())
def test_the_choice_within_the_budget_and_the_hint_of_each_row(result):
    said = choice_doubts(result)
    if said:
        [choice] = recommend([result])
        assert f"Of the choice, {choice.label}:" in said
        same = re.search(r"Not told apart from it in leak: ([\w ,]+)\.", said)
        named_there = set(re.split(r", | and ", same[1])) if same else set()
        assert named_there <= {choice.names[name] for name in choice.tied}
    for one in result.rows:
        leak, said = found(result, one), about_zero(result, one)
        assert (said == "") == (leak is None or leak.low > 0)


@settings(max_examples=25, deadline=None)
@given(st.lists(results(), min_size=2, max_size=4))
def test_the_verdict_of_a_study(cells):
    said = study_winner(cells)
    leaks = {
        id(one): [known.value for row in one.rows if contends(row) and (known := found(one, row))] for one in cells
    }
    contests = [one for one in cells if len(set(leaks[id(one)])) > 1]
    wins = Counter(least(one).label.lower() for one in contests)
    told = re.match(
        r"([\w ]+) gives away least in (\d+) of (\d+) audits, (?:set apart from every other in (\d+))?", said
    )
    if told is None:
        assert not contests
        return
    label, count, total, apart = told.groups()
    assert (wins[label.lower()], len(cells)) == (int(count), int(total))
    assert int(count) == max(wins.values())
    mine = [one for one in contests if least(one).label.lower() == label.lower()]
    assert int(apart or 0) <= sum(alone(one) for one in mine)
    assert (f"In {len(cells) - len(contests)} no two models" in said) == (len(contests) < len(cells))


def alone(one):
    """Whether the row that leaks least is told apart from every other that is a choice."""
    best = least(one)
    others = [row for row in one.rows if row is not best and contends(row) and found(one, row)]
    return all(one.told_apart(best, row) for row in others)
