from dataclasses import replace

import numpy as np
import pytest

from leaq.decisions.choosing import choosers, find_knee, recommend
from leaq.decisions.evidence import Evidence
from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.reporting.decision import recommendation_words
from leaq.results import Comparison
from tests.unit.study.cells import cell, row


def rows(shift=0.0, **options):
    return [
        row("none", 0.5 + shift, 0.95, **options),
        row("sparse", 0.02, 0.7, drop=-0.25, **options),
        row("sign", 0.2 + shift, 0.94, drop=-0.01, **options),
        row("four", 0.4 + shift, 0.95, drop=0.0, **options),
    ]


def test_the_most_private_within_the_budget():
    (found,) = recommend([cell(rows())], 0.02)
    assert (found.chosen, found.smallest, found.tied) == ("sign", "sign", ())
    assert found.refused == ("sparse",)
    assert found.told_apart
    assert found.reduction.value == pytest.approx(0.3)
    assert found.advantage.value == pytest.approx(0.2, abs=0.005)
    assert found.advantage.high - found.advantage.low > 0.02  # wider than its own interval: chosen among many
    assert "less than full precision (0.50)" in recommendation_words(found)


def test_a_wider_budget_changes_the_choice_and_full_precision_is_an_answer():
    assert recommend([cell(rows())], 0.3)[0].chosen == "sparse"
    nothing = recommend([cell(rows())], 0.0)[0]
    assert (nothing.chosen, nothing.quantized, nothing.nearest) == ("none", False, "four")
    assert "no quantizer is to be had beyond doubt; four comes nearest and may lose 0.001" in recommendation_words(
        nothing
    )


def test_without_a_budget_the_usual_one_of_the_metric_counts():
    found = recommend([cell(rows()), cell(rows(key="r2"), task="regression")])
    assert [(one.metric, one.budget) for one in found] == [("ROC-AUC", 0.01), ("R²", 0.02)]


def test_a_model_without_skill_is_out():
    cells = [cell([row("none", 0.5, 0.9), row("sign", 0.0, 0.5, flags=("no-skill",)), row("four", 0.4, 0.9)])]
    assert recommend(cells, 0.02)[0].chosen == "four"


def test_among_those_not_told_apart_in_leak_the_cheapest_is_taken_then_the_smallest_file():
    close = [
        row("none", 0.5, 0.9),
        row("dear", 0.200, 0.88, drop=-0.015, half=0.05),
        row("cheap", 0.205, 0.9, half=0.05),
        row("large", 0.202, 0.9, half=0.05),
    ]
    sizes = {"none": 400, "dear": 10, "cheap": 20, "large": 30}
    result = cell([sized(one, sizes[one.quantizer]) for one in close])
    (found,) = recommend([result], 0.02)
    assert (found.chosen, found.smallest) == ("cheap", "dear")
    assert set(found.tied) == {"dear", "large"}
    assert "smallest estimate within the budget is that of dear" in recommendation_words(found)
    (smaller,) = recommend([cell([sized(one, 5 if one.quantizer == "large" else 20) for one in close])], 0.02)
    assert smaller.chosen == "large"


def sized(one, count):
    return replace(one, size=replace(one.size, bytes=count))


def test_nothing_told_apart_from_full_precision_gives_no_accuracy_away():
    """As on breast_cancer: a sparse model that is not told apart in leak must not cost an established loss."""
    result = cell([row("none", 0.06, 0.99, half=0.03), row("sparse", 0.018, 0.9865, drop=-0.0035, half=0.03),
                   row("eight", 0.058, 0.99, half=0.03)])  # fmt: skip
    (found,) = recommend([result], 0.01)
    assert found.chosen == "eight"
    assert not found.told_apart
    assert "nor from full precision's" in recommendation_words(found)


def test_the_paired_comparison_of_an_audit_decides_what_is_told_apart():
    result = cell([row("none", 0.5, 0.9), row("a", 0.40, 0.9, half=0.2), row("b", 0.39, 0.9, drop=-0.01, half=0.2)])
    errors = np.array([[0.1, 0.001, 0.001], [0.001, 0.1, 0.001], [0.001, 0.001, 0.1]])
    sharp = replace(result, comparison=Comparison(("none", "a", "b"), tuple(map(tuple, errors.tolist())), 2.5))
    assert recommend([result], 0.02)[0].chosen == "a"
    assert recommend([sharp], 0.02)[0].chosen == "b"
    assert recommend([sharp], 0.02)[0].reduction.value == pytest.approx(0.11)
    assert recommend([sharp], 0.02)[0].reduction.high == pytest.approx(0.1125)


def test_the_smallest_of_many_is_corrected_for_its_luck_and_a_preference_needs_none():
    """Leaks that are told apart (paired) yet known no better than 0.05 each: the smallest is so by luck, in part."""
    specs = [f"q{i}" for i in range(6)]
    made = [row(spec, 0.2 + 0.001 * i, 0.9, half=0.05) for i, spec in enumerate(specs)]
    result = cell([row("none", 0.5, 0.9), *made])
    size = len(specs) + 1
    errors = np.full((size, size), 0.05)
    names = ("none", *specs)
    sharp = replace(result, comparison=Comparison(names, tuple(map(tuple, errors.tolist())), 1e-6))
    assert recommend([sharp])[0].chosen == "q0"
    assert recommend([sharp])[0].advantage.value > 0.215
    tied = recommend([result])[0]
    assert (tied.chosen, len(tied.tied)) == ("q0", 5)
    assert tied.advantage.value == pytest.approx(0.2, abs=0.01)


def test_many_data_sets_and_both_tasks():
    cells = [cell(rows(shift=0.01 * i), data=f"d{i}") for i in range(6)]
    cells += [cell(rows(key="r2"), data=f"e{i}", task="regression") for i in range(2)]
    found = {one.task: one for one in recommend(cells, 0.02)}
    assert {task: one.data_sets for task, one in found.items()} == {"classification": 6, "regression": 2}
    assert {one.chosen for one in found.values()} == {"sign"}


def test_what_is_missing_is_named():
    with pytest.raises(NotEnoughEvidence, match="Add replicates"):
        recommend([cell([row("none", None, 0.9), row("sign", None, 0.9)])], 0.02)
    with pytest.raises(InvalidInput, match="must be 0 or more. Found -1"):
        recommend([cell(rows())], -1)
    with pytest.raises(InvalidInput, match=r"must be at most 1, which is all there is. Found 2. .* 2 % is 0.02"):
        recommend([cell(rows())], 2)
    assert recommend([cell(rows(key="r2"), task="regression")], 2)  # which has no lower end


def test_a_quantizer_without_a_leak_is_no_choice_and_does_not_empty_the_rest():
    (found,) = recommend([cell([*rows(), row("bare", None, 0.95)])], 0.02)
    assert found.chosen == "sign"
    assert "bare" not in found.allowed + found.refused


def test_cells_without_skill_in_full_precision_are_left_out_and_counted():
    good = [cell([row("none", 0.5, 0.9), row("sign", 0.1, 0.9)], data=name) for name in "abc"]
    hopeless = cell(
        [row("none", 0.5, 0.5, flags=("no-skill",)), row("sign", 0.0, 0.5, flags=("no-skill",))], data="hopeless"
    )
    (found,) = recommend([*good, hopeless], 0.02)
    assert (found.chosen, found.cells, found.left_out) == ("sign", 3, 1)
    assert "1 more left out: no skill in full precision" in recommendation_words(found)
    with pytest.raises(NotEnoughEvidence, match="models that predict something. Found none in 1 cell"):
        recommend([hopeless], 0.02)
    for wrong in (-1, 2, float("nan")):  # whatever the models are
        with pytest.raises(InvalidInput, match="The largest acceptable drop"):
            recommend([hopeless], wrong)


def test_where_nothing_is_within_the_budget_the_nearest_is_named():
    (found,) = recommend([cell([row("none", 0.5, 0.9), row("sign", 0.1, 0.8, drop=-0.1),
                                row("uniform(bits=4)", 0.3, 0.87, drop=-0.03)])], 0.02)  # fmt: skip
    assert (found.chosen, found.nearest) == ("none", "uniform(bits=4)")
    assert found.may_lose == pytest.approx(0.031, abs=0.001)


def test_cautious_counts_the_worse_end_of_the_interval():
    [chooser] = choosers([cell(rows())])
    assert chooser.at(0.0102, cautious=False).chosen == "sign"
    assert chooser.at(0.0102).chosen == "four"


def test_the_knee_is_the_bargain_whatever_the_budget():
    """As on freesolv: two bits take half of the leak away for next to nothing, the sparse one only predicts less."""
    result = cell(
        [row("none", 0.79, 0.68, key="r2"), row("sparse", 0.09, 0.07, drop=-0.61, key="r2"),
         row("two", 0.30, 0.66, drop=-0.02, key="r2"), row("four", 0.76, 0.68, key="r2")], task="regression",
    )  # fmt: skip
    (found,) = recommend([result], 0.01)
    assert found.chosen == "four"
    assert (found.knee.quantizer, found.knee.halves) == ("two", True)
    assert "Two more than halves the leak (0.79 to 0.30) for at most 0.022 R²." in recommendation_words(found)


def test_there_is_no_knee_where_nothing_stands_out():
    flat = [row("none", 0.5, 0.9), row("a", 0.45, 0.9), row("b", 0.2, 0.6, drop=-0.3)]
    assert recommend([cell(flat)])[0].knee is None
    quiet = [row("none", 0.02, 0.9, half=0.05), row("a", 0.0, 0.9, half=0.05)]
    assert recommend([cell(quiet)])[0].knee is None


NAMES = ("none", "dear", "bargain", "little")


def found(leaks, worst, *, apart=0.01, skill=0.4, error=0.001):
    """Find the knee of models whose leaks are known to `error`, full precision first."""
    count = len(leaks)
    evidence = Evidence(NAMES[:count], np.array([leaks]), np.array([np.eye(count) * error**2]), ("a",))
    apart = np.full((count, count), apart)
    return find_knee(evidence, np.array(worst), apart, skill=skill, labels=[name.upper() for name in NAMES[:count]])


def test_the_largest_share_of_leak_for_the_least_of_the_skill_is_taken():
    knee = found([0.8, 0.1, 0.3, 0.75], [0.0, 0.3, 0.02, 0.0])
    assert (knee.quantizer, knee.label, knee.before, knee.after) == ("bargain", "BARGAIN", 0.8, 0.3)
    assert knee.share == pytest.approx(0.5 / 0.8)
    assert (knee.may_lose, knee.skill_share) == (0.02, pytest.approx(0.05))
    assert knee.halves


@pytest.mark.parametrize(
    ("leaks", "worst", "options"),
    [
        ([0.8, 0.7], [0.0, 0.0], {}),  # less than a fifth of the leak goes
        ([0.8, 0.4], [0.0, 0.1], {}),  # half the leak for a quarter of the skill
        ([0.8, 0.4], [0.0, np.inf], {}),  # predicts nothing
        ([0.8, 0.4], [0.0, 0.0], {"apart": 0.5}),  # not told apart from full precision
        ([0.0, -0.1], [0.0, 0.0], {}),  # no leak that could go
        ([0.8, 0.4], [0.0, 0.0], {"skill": 0.0}),  # no skill that could stay
    ],
)
def test_what_is_no_bargain_is_no_knee(leaks, worst, options):
    assert found(leaks, worst, **options) is None


def test_more_than_half_is_said_only_beyond_doubt():
    assert found([0.8, 0.3], [0.0, 0.0], error=0.001).halves
    assert not found([0.8, 0.3], [0.0, 0.0], error=0.2).halves
    assert not found([0.8, 0.5], [0.0, 0.0]).halves
