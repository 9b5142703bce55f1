import itertools

import numpy as np
import pytest
from benchmarks.claims.agreement import concordance, mean_tau, pareto_front

from leaq.errors import InvalidInput


def slow_w(rows):
    """Kendall's W without ties, from its definition: variance of rank sums over the largest possible."""
    m, k = len(rows), len(rows[0])
    sums = [sum(sorted(row).index(row[j]) + 1 for row in rows) for j in range(k)]
    mean = sum(sums) / k
    return sum((s - mean) ** 2 for s in sums) / (m**2 * (k**3 - k) / 12)


def slow_tau(a, b):
    pairs = list(itertools.combinations(range(len(a)), 2))
    return sum(np.sign((a[i] - a[j]) * (b[i] - b[j])) for i, j in pairs) / len(pairs)


def test_against_the_definitions(rng):
    rows = rng.normal(size=(5, 7))
    assert concordance(rows) == pytest.approx(slow_w(rows.tolist()))
    assert mean_tau(rows) == pytest.approx(np.mean([slow_tau(a, b) for a, b in itertools.combinations(rows, 2)]))
    assert concordance(rows) != pytest.approx(slow_w((rows[:, ::-1] * rows).tolist()))  # the twin tells them apart


def test_ends_of_the_range():
    same = [[1, 2, 3, 4]] * 3
    assert concordance(same) == pytest.approx(1)
    assert mean_tau(same) == pytest.approx(1)
    assert concordance([[1, 2, 3], [3, 2, 1]]) == pytest.approx(0)


def test_refusals():
    with pytest.raises(InvalidInput, match=r"must be \(m, k\) with m, k >= 2"):
        concordance([[1, 2]])
    with pytest.raises(InvalidInput, match="NaN"):
        mean_tau([[1, 2], [np.nan, 1]])


def test_front_against_the_definition(rng):
    costs = rng.integers(0, 4, size=(12, 2))
    expected = [not any((q <= p).all() and (q < p).any() for q in costs) for p in costs]
    assert pareto_front(costs).tolist() == expected


def test_a_ranking_that_prefers_nothing_leaves_the_mean_undefined():
    assert np.isnan(mean_tau([[1, 1, 1], [1, 2, 3], [1, 2, 3]]))
