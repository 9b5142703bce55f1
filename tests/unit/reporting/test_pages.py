"""What the page says is what the commands say: one chooser decides for all of them."""

from dataclasses import replace

import pytest

from leaq.decisions.choosing import recommend
from leaq.reporting.pages import audit_page
from leaq.types import Flag
from tests.helpers import require
from tests.results import cell, row

FREESOLV = (
    row("none", "full precision", 0.72, half=0.03),
    row("uniform(bits=3)", "3-bit", 0.636, -0.002, half=0.03),
    row("uniform(bits=2)", "2-bit", 0.298, -0.021, half=0.03),
    row("ternary(sparsity=0.75)", "ternary 75% sparse", 0.296, -0.353, half=0.03),
)
"""Two models whose leaks are not told apart; the smaller estimate loses seventeen times as much."""


@pytest.mark.parametrize("budget", [0.01, 0.05, 0.40])
def test_the_page_takes_what_the_command_recommends(budget):
    require("vl_convert")
    result = cell(*FREESOLV)
    steps = audit_page(result, prefix="x", internal=False)["chooser"]["steps"]["cautious"]
    [found] = recommend([result], budget)
    assert [step["key"] for step in steps if step["from"] <= budget][-1] == found.chosen


def test_a_smaller_estimate_that_is_not_told_apart_buys_no_loss():
    """The page said "Take ternary 75% sparse", which loses 0.353, from the folder in which 2-bit lost 0.021."""
    require("vl_convert")
    result = cell(*FREESOLV)
    steps = audit_page(result, prefix="x", internal=False)["chooser"]["steps"]
    for counted in steps.values():
        assert "ternary(sparsity=0.75)" not in {step["key"] for step in counted}
        assert [step["key"] for step in counted if step["from"] <= 0.40][-1] == "uniform(bits=2)"
    assert recommend([result], 0.40)[0].smallest == "ternary(sparsity=0.75)"


def test_nothing_stands_on_the_first_screen_and_in_the_reading():
    """Where no model predicts anything the attacker is named on the first screen, and was named again below it."""
    useless = (Flag("no-skill", "Predicts nothing."),)
    lost = cell(*(replace(one, flags=useless) for one in cell().rows))
    for result in (cell(), lost):
        page = audit_page(result, prefix="a0", internal=False)
        assert page["key"]
        assert page["key"] not in page["sentences"]
