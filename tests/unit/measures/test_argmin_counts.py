import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaq.measures.argmin_counts import ArgminCounter, batch_error, difference_bracket
from leaq.measures.resampled_sums import MemberSampling, Normal
from tests.helpers import ROUNDING

seeds = st.integers(0, 2**31)


def slow_count(sums, shifts, weights):
    counts = np.zeros(shifts.shape)
    for t, row in enumerate(sums):
        for z in range(shifts.shape[1]):
            counts[(row + shifts[:, z]).argmin(), z] += weights[t, z]
    return counts


@given(seeds, st.booleans())
@settings(max_examples=30)
def test_weighted_counting_equals_its_slow_twin(seed, ties):
    rng = np.random.default_rng(seed)
    t, k, n = rng.integers(1, 30), rng.integers(2, 8), rng.integers(1, 20)
    draw = (lambda *shape: rng.integers(0, 4, shape).astype(float)) if ties else (lambda *shape: rng.normal(size=shape))
    sums, shifts, weights = draw(t, k), draw(k, n), rng.random((t, n))
    counter = ArgminCounter(shifts)
    found = counter.count(sums / counter.unit, weights)
    np.testing.assert_allclose(found, slow_count(sums, shifts, weights), **ROUNDING)
    assert not np.allclose(found, slow_count(sums, shifts, 1 - weights))


@pytest.mark.parametrize("terms", [1, 1000, 10**6])
def test_sums_on_the_grid_do_not_depend_on_their_order(terms):
    rng = np.random.default_rng(0)
    counter = ArgminCounter(rng.exponential(1, (3, 50)), terms=terms)
    counts = rng.multinomial(terms, np.full(50, 1 / 50)).astype(float)
    order = rng.permutation(50)
    forwards, shuffled = counts @ counter.shifts.T, counts[order] @ counter.shifts[:, order].T
    np.testing.assert_array_equal(forwards, shuffled)
    assert np.abs(forwards).max() < 2**53
    assert counter.unit < 1e-6


def test_the_normal_law_equals_its_slow_twin():
    rng = np.random.default_rng(3)
    A, n, w = (
        rng.normal(np.linspace(0, 0.3, 3)[:, None], 1.0, (3, 40)),
        12,
        rng.multinomial(40, np.full(40, 1 / 40)) / 40,
    )
    Z = rng.standard_normal((400, 3))
    counter = ArgminCounter(A, terms=n + 1)
    found = Normal(counter, MemberSampling(n), Z).differences(w)
    mean, cov = A @ w, np.cov(A, aweights=w, ddof=0) * 40 / 39
    values, vectors = np.linalg.eigh(cov)
    noise = np.sqrt(n - 1) * Z @ (vectors * np.sqrt(values)) @ vectors.T
    sums = np.r_[(n - 1) * mean + noise, (n - 1) * mean - noise]
    slow = slow_count(sums, A, np.ones((800, 40))) / 800
    np.testing.assert_allclose(found, slow - (slow @ w)[:, None], atol=1e-12)


def test_the_normal_law_in_the_pool_game_has_the_pools_variance():
    """Two Gaussian candidates: members of a half pool vary half as much, and are told from non-members."""
    rng = np.random.default_rng(0)
    d = rng.standard_normal(500)
    A = np.stack([np.zeros(500), d - d.mean()])
    counter, Z = ArgminCounter(A, terms=101), rng.standard_normal((20_000, 2))
    even = np.full(500, 1 / 500)
    iid = Normal(counter, MemberSampling(100), Z).leak(even)
    pool = Normal(counter, MemberSampling(100, pool=200), Z).leak(even)
    # |phi(0) d| / sd(G), with sd^2 = n - 1 and n / 2; the same draws
    assert iid == pytest.approx(0.3989 * np.abs(A[1]).mean() / A[1].std() / np.sqrt(99), rel=0.1)
    assert pool / iid == pytest.approx(np.sqrt(2), rel=0.06)


def test_the_bracket_equals_its_slow_twin():
    rng = np.random.default_rng(0)
    a, b, w = rng.normal(size=(3, 5)), rng.normal(size=(3, 5)), rng.dirichlet(np.ones(5))
    split = sum(
        w[z] / 4 * (np.sign(a[k, z]) * b[k, z] + np.sign(b[k, z]) * a[k, z]) for k in range(3) for z in range(5)
    )
    plug_in = sum(w[z] / 2 * abs((a[k, z] + b[k, z]) / 2) for k in range(3) for z in range(5))
    assert difference_bracket(a, b, w) == pytest.approx((min(split, plug_in), plug_in))


def test_the_error_of_batches_is_that_of_their_mean():
    rng = np.random.default_rng(0)
    repeated = [rng.normal(size=16) for _ in range(400)]
    assert np.mean([batch_error(x, np.ones(16)) ** 2 for x in repeated]) == pytest.approx(1 / 16, rel=0.1)
    assert batch_error(np.ones(1), np.ones(1)) == 0.0
