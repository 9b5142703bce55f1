"""Intervals of r and of the finite-sample leak contain the truth often enough, ties included.

The grid and its truths are those of benchmarks/fidelity/coverage.py; docs/fidelity.md shows what was measured.
"""

import numpy as np
import pytest
from benchmarks.fidelity import coverage

RUNS = 200
BAR = 0.90
"""What no cell may lie below beyond doubt: 90 % itself is measured within 2.1 points (one standard error)."""

pytestmark = pytest.mark.slow
cells = pytest.mark.parametrize("name", coverage.GRID)
shapes = pytest.mark.parametrize("skewed", [False, True], ids=["Gaussian", "exponential"])


def holds(covered):
    """Whether the share that holds the truth is not below the bar beyond two of its standard errors."""
    return np.mean(covered) + 2 * np.sqrt(BAR * (1 - BAR) / len(covered)) >= BAR


@shapes
@cells
def test_r_is_covered(name, skewed):
    truth = coverage.true_rate(name)
    found = coverage.rate_intervals(name, skewed, RUNS)
    assert holds([low <= truth <= high for low, high in found])


@shapes
@cells
def test_the_finite_sample_leak_is_covered(name, skewed):
    truth = coverage.true_leak(name, skewed)
    found = coverage.leaks(name, skewed, RUNS)
    assert holds([one.low <= truth <= one.high for one in found])


def test_intervals_a_third_as_wide_would_be_caught():
    truth = coverage.true_leak("near", skewed=False)
    found = coverage.leaks("near", skewed=False, runs=60)
    narrow = [(one.value * (one.low / one.value) ** 0.33, one.value * (one.high / one.value) ** 0.33) for one in found]
    assert not holds([low <= truth <= high for low, high in narrow])
