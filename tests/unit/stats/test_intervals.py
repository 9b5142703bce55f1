"""Intervals for the mean of a handful of values: Student's t against its definition, and what a bootstrap covers."""

import numpy as np
import pytest
from scipy import stats

from leaq.errors import InvalidInput
from leaq.stats.intervals import few_means_widening, mean_interval, percentile_interval
from leaq.stats.ranks import cluster_means


def test_against_scipy(rng):
    a, b = rng.normal(size=6), 2 + 3 * rng.normal(size=9)
    assert mean_interval(a) == pytest.approx(stats.ttest_1samp(a, 0).confidence_interval())
    assert mean_interval(a, b) == pytest.approx(stats.ttest_ind(a, b, equal_var=False).confidence_interval())
    assert mean_interval(a, level=0.8) == pytest.approx(stats.ttest_1samp(a, 0).confidence_interval(0.8))


def test_equal_values_and_too_few():
    assert mean_interval(np.ones(4)) == (1, 1)
    with pytest.raises(InvalidInput, match="at least 2 values"):
        mean_interval(np.ones(1))


def covered(interval, rng, n=5, trials=1500):
    """Share of trials in which the interval of n normal values holds their mean, 0."""
    found = [interval(rng.normal(size=n)) for _ in range(trials)]
    return np.mean([low <= 0 <= high for low, high in found])


def test_five_values_are_covered_as_promised_and_a_bootstrap_of_them_is_not(rng):
    def bootstrap(values, widening=1.0):
        draws = cluster_means(values, range(len(values)), draws=500, rng=rng)
        return percentile_interval(values.mean() + widening * (draws - values.mean()))

    se = (0.95 * 0.05 / 1500) ** 0.5
    assert covered(mean_interval, rng) == pytest.approx(0.95, abs=4 * se)
    assert covered(bootstrap, rng) < 0.90  # negative control: it says 95 %
    assert covered(lambda values: bootstrap(values, few_means_widening(5)), rng) == pytest.approx(0.95, abs=0.03)
