from dataclasses import replace

import pytest

from leaq.decisions.choosing import Knee, recommend
from leaq.errors import listed_names
from leaq.reporting.decision import chooser_of, decision, knee_words, recommendation_words, released_as
from leaq.reporting.narrative import audited as what
from tests.results import cell
from tests.unit.decisions.test_choosing import rows
from tests.unit.study.cells import cell as audited
from tests.unit.study.cells import row

FOUND = recommend([audited(rows())], 0.02)[0]


def test_what_to_take_and_what_it_gains():
    assert decision(FOUND).startswith("Within a loss of 0.02 ROC-AUC, take sign: it gives away 0.300 [0.280, 0.320] ")
    assert decision(FOUND).endswith("less than full precision (0.50).")


def test_what_is_not_told_apart_is_said_for_what_it_is():
    close = [row("none", 0.06, 0.99, half=0.03), row("sparse", 0.018, 0.9865, drop=-0.0035, half=0.03),
             row("eight", 0.058, 0.99, half=0.03)]  # fmt: skip
    (found,) = recommend([audited(close)], 0.01)
    assert decision(found).endswith(
        "take eight: the smallest file without an established loss whose leak is not told apart from the least there, "
        "nor from full precision's."
    )


def test_full_precision_is_the_choice_for_a_reason():
    (nothing,) = recommend([audited(rows())], 0.0)
    assert decision(nothing) == (
        "Within a loss of 0 ROC-AUC, no quantizer is to be had beyond doubt; four comes nearest and may lose 0.00119."
    )
    wide = replace(nothing, allowed=("none", "four"))
    assert decision(wide).endswith("take full precision: nothing there leaks less.")


def test_the_paragraph_says_what_the_choice_rests_on():
    text = recommendation_words(FOUND)
    assert text.startswith(decision(FOUND))
    assert "Rests on 1 cell of 1 data set;" in text
    assert "no leak found by this attack is not the same as no leak." in text
    assert "2 cells of 1 data set" in recommendation_words(recommend([audited(rows()), audited(rows())], 0.02)[0])


KNEE = Knee("x", "2-bit", 0.79, 0.35, share=0.56, halves=True, may_lose=0.05, skill_share=0.1)


def test_the_knee_is_a_bargain_at_a_price_that_is_rounded_up():
    assert knee_words(KNEE, "R²") == "2-bit more than halves the leak (0.79 to 0.35) for at most 0.05 R²."
    assert "takes 40% of the leak away" in knee_words(replace(KNEE, halves=False, share=0.4), "R²")
    assert knee_words(replace(KNEE, may_lose=0.05002), "R²").endswith("for at most 0.051 R².")
    assert knee_words(replace(KNEE, may_lose=-0.01), "R²").endswith("and loses no R².")


@pytest.mark.parametrize(("labels", "text"), [((), ""), (("a",), "a"), (("a", "b"), "a and b")])
def test_names_are_joined_as_a_sentence_does(labels, text):
    assert listed_names(labels) == text


def test_without_a_leak_there_is_nothing_to_choose_by():
    assert chooser_of(cell()) is not None
    assert chooser_of(cell(*(replace(row, attacks={}) for row in cell().rows))) is None


def test_what_shows_no_weights_is_released_as_it_runs():
    """Neither "in full precision" nor "under 0 quantizers" is true of a program without weights to see."""
    assert [released_as(row) for row in cell().rows[:2]] == ["in full precision", "under 8-bit"]
    alone = replace(cell(), rows=(replace(cell().rows[0], quantizer="none", label="as it runs"),))
    assert what(alone).endswith("were attacked as it runs.")
    full = replace(alone.rows[0], label="full precision")
    assert what(replace(alone, rows=(full,))).endswith("in full precision.")
