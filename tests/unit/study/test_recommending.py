import pytest

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.study.recommending import recommend
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
    assert (found.chosen, found.runner_up) == ("sign", "four")
    assert found.refused == ("sparse",)
    assert found.told_apart
    assert found.advantage.value == pytest.approx(0.2, abs=0.005)
    assert found.advantage.high - found.advantage.low > 0.02  # wider than its own interval: chosen among many
    assert "full precision 0.500" in found.describe(0.02)


def test_a_wider_budget_changes_the_choice_and_none_is_an_answer():
    assert recommend([cell(rows())], 0.3)[0].chosen == "sparse"
    nothing = recommend([cell(rows())], 0.0)[0]
    assert nothing.chosen is None
    assert "no quantizer keeps within" in nothing.describe(0.0)


def test_a_model_without_skill_is_out():
    cells = [cell([row("none", 0.5, 0.9), row("sign", 0.0, 0.5, flags=("no-skill",)), row("four", 0.4, 0.9)])]
    assert recommend(cells, 0.02)[0].chosen == "four"


def test_two_that_cannot_be_told_apart_are_said_to_be():
    close = [row("none", 0.5, 0.9), row("sign", 0.200, 0.9, half=0.05), row("four", 0.201, 0.9, half=0.05)]
    (found,) = recommend([cell(close)], 0.02)
    assert not found.told_apart
    assert "cannot be told apart" in found.describe(0.02)
    assert found.advantage.value > 0.2  # corrected upward: one of two equals had to win
    assert found.probability < 0.7


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


def test_cells_without_skill_in_full_precision_are_left_out_and_counted():
    good = [cell([row("none", 0.5, 0.9), row("sign", 0.1, 0.9)], data=name) for name in "abc"]
    hopeless = cell(
        [row("none", 0.5, 0.5, flags=("no-skill",)), row("sign", 0.0, 0.5, flags=("no-skill",))], data="hopeless"
    )
    (found,) = recommend([*good, hopeless], 0.02)
    assert (found.chosen, found.cells, found.left_out) == ("sign", 3, 1)
    assert "1 more left out: no skill in full precision" in found.describe(0.02)
    with pytest.raises(NotEnoughEvidence, match="models that predict something. Found none in 1 cells"):
        recommend([hopeless], 0.02)


def test_where_nothing_is_within_the_budget_the_nearest_is_named():
    (found,) = recommend([cell([row("none", 0.5, 0.9), row("sign", 0.1, 0.8, drop=-0.1),
                                row("uniform(bits=4)", 0.3, 0.87, drop=-0.03)])], 0.02)  # fmt: skip
    assert (found.chosen, found.nearest) == (None, "uniform(bits=4)")
    assert found.may_drop == pytest.approx(0.031, abs=0.001)
    assert "Nearest: uniform(bits=4), which may drop by 0.03" in found.describe(0.02)
