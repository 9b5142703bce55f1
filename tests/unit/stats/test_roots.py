import math

import pytest

from leaq.stats.roots import zero_of


@pytest.mark.parametrize(
    ("function", "low", "high"),
    [
        (lambda x: x**3 - 2 * x - 5, 2.0, 3.0),
        (lambda x: math.exp(-x) - 1e-6, 0.0, 40.0),
        (lambda x: math.tanh(1e4 * (x - 0.3)), 0.0, 1.0),
        (lambda x: 1 - x, -5.0, 7.0),
    ],
)
def test_it_is_scipys(function, low, high):
    from scipy.optimize import brentq

    found = zero_of(function, low, high, tolerance=1e-9)
    assert found == pytest.approx(brentq(function, low, high, xtol=1e-9), abs=3e-9)


def test_ends_that_are_zeros_are_found():
    assert zero_of(lambda x: x, 0.0, 1.0, tolerance=1e-9) == pytest.approx(0.0, abs=1e-8)
    assert zero_of(lambda x: x - 1, 0.0, 1.0, tolerance=1e-9) == pytest.approx(1.0, abs=1e-8)


def test_it_looks_at_few_places():
    seen = []
    zero_of(lambda x: seen.append(x) or math.exp(x) - 2, 0.0, 20.0, tolerance=1e-9)
    assert len(seen) < 25


def test_equal_signs_are_refused():
    with pytest.raises(ValueError, match="signs must differ"):
        zero_of(lambda x: x**2 + 1, 0.0, 1.0, tolerance=1e-9)
