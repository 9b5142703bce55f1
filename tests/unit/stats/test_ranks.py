from itertools import combinations

import numpy as np
import pytest
from scipy.stats import kendalltau

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.stats.ranks import agreement, cluster_means, kendall
from leaq.types import Estimate


def slow_tau(a, b):
    """Tau-b by its definition, pair by pair."""
    agree = first = second = 0
    for i, j in combinations(range(len(a)), 2):
        x, y = np.sign(a[i] - a[j]), np.sign(b[i] - b[j])
        agree, first, second = agree + x * y, first + abs(x), second + abs(y)
    return agree / np.sqrt(first * second) if first and second else 0.0


def broken_tau(a, b):
    """Pearson's correlation of the values: no rank statistic."""
    return np.corrcoef(a, b)[0, 1]


def matches(tau, rng):
    return all(
        np.isclose(tau(a, b), slow_tau(a, b)) for a, b in ((rng.normal(size=9), rng.normal(size=9)) for _ in range(20))
    )


def items(values, half=0.001):
    return [Estimate(float(v), float(v) - half, float(v) + half, 100) for v in values]


def test_kendall_is_the_definition_and_a_broken_one_is_caught(rng):
    assert matches(kendall, rng)
    assert not matches(broken_tau, rng)


def test_kendall_agrees_with_scipy_where_there_are_ties(rng):
    for _ in range(20):
        a, b = rng.integers(0, 4, 12).astype(float), rng.integers(0, 4, 12).astype(float)
        assert np.isclose(kendall(a, b), kendalltau(a, b).statistic)


def test_all_ties_are_unrelated_by_convention():
    assert kendall(np.ones(5), np.arange(5.0)) == 0
    assert np.isnan(kendall(np.ones(5), np.arange(5.0), tied=np.nan))


def test_sharp_values_give_a_sharp_tau():
    found = agreement(items(range(8)), items(range(8)))
    assert (found.value, found.low, found.high, found.n, found.unit) == (1, 1, 1, 8, "quantizers")
    assert agreement(items(range(8)), items(range(8)[::-1])).value == -1


def test_doubtful_values_give_a_wide_interval_that_can_hold_no_agreement():
    found = agreement(items(np.arange(8) / 100, half=1.0), items(np.arange(8) / 100, half=1.0))
    assert found.value == 1
    assert found.low < 0.0


def test_few_things_are_flagged():
    assert [flag.code for flag in agreement(items(range(4)), items(range(4))).flags] == ["few-ranked"]
    assert agreement(items(range(5)), items(range(5))).flags == ()


def test_same_seed_same_interval(rng):
    a, b = items(rng.normal(size=6), 0.5), items(rng.normal(size=6), 0.5)
    assert agreement(a, b) == agreement(a, b)


def test_wrong_input_is_refused():
    with pytest.raises(InvalidInput, match="Found 2 and 3"):
        agreement(items(range(2)), items(range(3)))
    with pytest.raises(NotEnoughEvidence, match="at least 2 things"):
        agreement(items([1]), items([1]))
    with pytest.raises(InvalidInput, match="must be finite"):
        agreement([Estimate(1.0, 0.0, np.inf, 5)] * 2, items(range(2)))


def test_a_cluster_counts_once_however_many_cells_it_has(rng):
    values, clusters = [0.0] * 50 + [1.0], ["a"] * 50 + ["b"]
    drawn = cluster_means(values, clusters, draws=4000, rng=rng)
    assert drawn.mean() == pytest.approx(0.5, abs=0.03)
    assert set(np.unique(drawn)) == {0.0, 0.5, 1.0}
