import math

import pytest

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.types import Estimate, Flag, NotComputed, computed


def test_an_estimate_is_never_nan():
    with pytest.raises(InvalidInput, match="must be numbers"):
        Estimate(float("nan"), 0, 1, 10)


def test_an_estimate_shows_its_doubt():
    shown = repr(Estimate(0.5, 0.4, 0.6, 100).flagged(Flag("few", "few records")))
    assert shown == "Estimate(0.5 [0.4, 0.6], 95%, n=100 records, flags: few)"


def test_an_interval_holds_its_value_and_turns_with_it():
    found = Estimate.spanning(0.5, 0.6, 0.9, 100, 0.9, "models", "bootstrap")
    assert (found.low, found.high, found.level, found.unit) == (0.5, 0.9, 0.9, "models")
    turned = found.flagged(Flag("few", "few")).mapped(lambda x: -x, unit="texts")
    assert (turned.value, turned.low, turned.high, turned.unit, len(turned.flags)) == (-0.5, -0.9, -0.5, "texts", 1)
    assert Estimate(1.0, 0.0, math.inf, 5).mapped(lambda x: math.exp(-x)).low == 0.0


def test_what_lacks_an_ingredient_names_it_and_other_errors_are_raised():
    def lacking():
        raise NotEnoughEvidence("needs 8 models")

    assert computed(lacking) == NotComputed("needs 8 models")
    with pytest.raises(ZeroDivisionError):
        computed(lambda: 1 / 0)
