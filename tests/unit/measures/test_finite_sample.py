"""The finite-sample leak against every training set there is, in both games; the counting against slow twins."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaq.measures.exact import exact_leak, two_gamma
from leaq.measures.finite_sample import Options, leak_of
from leaq.measures.gaps import sorted_set
from leaq.measures.others import Drawn, Game, Normal, stand_ins, with_replacement
from leaq.measures.winners import Contest, batch_error, difference_bracket
from tests.helpers import ROUNDING, sampling

seeds = st.integers(0, 2**31)
MANY = Options(resamples=0, draws=10_000, most=100_000, close=0.5, error=0.01)


def every_set(losses, n):
    """Independent members: the leak over every training set of n records, ties to the first candidate."""
    pool = losses.shape[1]
    law = np.zeros(losses.shape)
    for rows in product(range(pool), repeat=n):
        law[losses[:, list(rows)].sum(1).argmin(), rows[0]] += pool ** -(n - 1)
    return 0.5 * np.abs(law - law.mean(1, keepdims=True)).sum(0).mean()


def every_half(losses, n):
    """The pool game: over every n of the pool's records, a record's law inside against its law outside."""
    pool = losses.shape[1]
    inside, outside = np.zeros(losses.shape), np.zeros(losses.shape)
    for rows in combinations(range(pool), n):
        member = np.isin(np.arange(pool), rows)
        winner = losses[:, member].sum(1).argmin()
        inside[winner, member] += 1
        outside[winner, ~member] += 1
    difference = inside / inside.sum(0) - outside / outside.sum(0)
    return 0.5 * np.abs(difference).sum(0).mean()


def drawn(seed, k=4, n=6, *, ties=False):
    rng = np.random.default_rng(seed)
    return sorted_set(rng.integers(0, 2, (k, n)).astype(float) if ties else rng.random((k, n)))


def close_to(truth, found):
    np.testing.assert_allclose(found.raw, truth, **sampling(max(found.error, 2e-4), 5))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_independent_members(n, ties):
    for seed in range(3):
        losses = drawn(seed, ties=ties)
        close_to(every_set(losses, n), leak_of(losses, n, options=MANY))
        exact = exact_leak(losses, n, most=64_000)
        np.testing.assert_allclose(exact.value, every_set(losses, n), **sampling(max(exact.error, 2e-4), 5))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("n", [1, 3, 5])
def test_members_of_a_pool(n, ties):
    options = Options(**{**MANY.__dict__, "pool": 6})
    for seed in range(3):
        losses = drawn(seed, ties=ties)
        close_to(every_half(losses, n), leak_of(losses, n, options=options))


def test_records_that_stand_for_several_of_the_pool():
    losses = drawn(5, n=4)
    pool = np.repeat(losses, stand_ins(4, 10), axis=1)
    close_to(every_half(pool, 5), leak_of(losses, 5, options=Options(**{**MANY.__dict__, "pool": 10})))


def test_a_pool_smaller_than_the_records_takes_a_cross_section():
    losses = drawn(6, n=8)
    kept = losses[:, stand_ins(8, 5) == 1]
    close_to(every_half(kept, 2), leak_of(losses, 2, options=Options(**{**MANY.__dict__, "pool": 5})))


def test_a_leak_of_nothing_is_zero_with_an_upper_end():
    """The winner is the same whoever is a member: no draw shows a leak, and the interval says what that rules out."""
    losses = np.stack([np.zeros(6), np.arange(6) + 100.0])
    for options in (MANY, Options(draws=1000)):
        found = leak_of(losses, 50, options=options)
        assert (found.raw, found.value, found.low) == (0.0, 0.0, 0.0)
        assert found.high == pytest.approx(-np.log(0.05) / found.draws)


def test_the_two_games_are_told_apart():
    """The negative control: the tolerance is fine enough to see the wrong game."""
    losses = drawn(1)
    found = leak_of(losses, 3, options=MANY)
    assert abs(found.raw - every_half(losses, 3)) > 10 * sampling(found.error, 5)["atol"]


def test_ties_broken_the_wrong_way_are_seen():
    losses = drawn(0, ties=True)
    assert abs(every_set(losses, 2) - every_set(losses[::-1], 2)) > 0.02


@pytest.mark.parametrize("n", [3, 200])
def test_both_ways_of_drawing_with_replacement_have_the_binomial_moments(n):
    """Few draws a record are drawn one by one, many as binomials."""
    counts = with_replacement(8, n, 20_000, np.random.default_rng(0))
    assert (counts.sum(1) == n).all()
    np.testing.assert_allclose(counts.mean(0), n / 8, rtol=0.04)
    np.testing.assert_allclose(np.cov(counts.T)[0, :2], [n * 7 / 64, -n / 64], rtol=0.15)


def test_training_sets_of_a_pool_are_what_they_are_called():
    sets = Drawn.sets(5, Game(4, pool=10), 3000, np.random.default_rng(0))
    assert (sets.counts.sum(1) == 4).all()
    assert (sets.counts <= sets.copies).all()
    rows = np.arange(3000)
    assert (sets.counts[rows, sets.leaving] > 0).all()
    assert (sets.counts[rows, sets.joining] < sets.copies[sets.joining]).all()
    np.testing.assert_allclose(np.bincount(sets.leaving, minlength=5) / 3000, 0.2, atol=0.04)
    np.testing.assert_allclose(np.bincount(sets.joining, minlength=5) / 3000, 0.2, atol=0.04)


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
    contest = Contest(shifts)
    found = contest.count(sums / contest.unit, weights)
    np.testing.assert_allclose(found, slow_count(sums, shifts, weights), **ROUNDING)
    assert not np.allclose(found, slow_count(sums, shifts, 1 - weights))


@pytest.mark.parametrize("terms", [1, 1000, 10**6])
def test_sums_on_the_grid_do_not_depend_on_their_order(terms):
    rng = np.random.default_rng(0)
    contest = Contest(rng.exponential(1, (3, 50)), terms=terms)
    counts = rng.multinomial(terms, np.full(50, 1 / 50)).astype(float)
    order = rng.permutation(50)
    forwards, shuffled = counts @ contest.shifts.T, counts[order] @ contest.shifts[:, order].T
    np.testing.assert_array_equal(forwards, shuffled)
    assert np.abs(forwards).max() < 2**53
    assert contest.unit < 1e-6


def test_the_normal_law_equals_its_slow_twin():
    rng = np.random.default_rng(3)
    A, n, w = (
        rng.normal(np.linspace(0, 0.3, 3)[:, None], 1.0, (3, 40)),
        12,
        rng.multinomial(40, np.full(40, 1 / 40)) / 40,
    )
    Z = rng.standard_normal((400, 3))
    contest = Contest(A, terms=n + 1)
    found = Normal(contest, Game(n), Z).differences(w)
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
    contest, Z = Contest(A, terms=101), rng.standard_normal((20_000, 2))
    even = np.full(500, 1 / 500)
    iid = Normal(contest, Game(100), Z).leak(even)
    pool = Normal(contest, Game(100, pool=200), Z).leak(even)
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


def test_the_stated_monte_carlo_error_is_the_spread_between_seeds():
    losses = np.random.default_rng(2).normal(np.linspace(0, 0.1, 6)[:, None], 1.0, (6, 60))
    options = Options(resamples=0, draws=500, close=0.5, error=1.0)
    found = [leak_of(losses, 200, seed=seed, options=options) for seed in range(40)]
    spread = np.std([one.raw for one in found], ddof=1)
    assert np.sqrt(np.mean([one.error**2 for one in found])) == pytest.approx(spread, rel=0.35)


@pytest.mark.parametrize("n", [1, 4, 8])
def test_the_gamma_closed_form_agrees_with_drawing(n):
    """Loss difference Gamma(1) - 0.5: the others' sum is Gamma(n - 1), drawn 400,000 times."""
    rng = np.random.default_rng(0)
    d = rng.exponential(1, 20_000) - 0.5
    others = np.sort(rng.gamma(n - 1, 1, 400_000) - 0.5 * (n - 1) if n > 1 else np.zeros(400_000))
    given_z = np.searchsorted(others, -d) / len(others)  # the second wins where the sum is negative
    everyone = np.mean(rng.gamma(n, 1, 400_000) < 0.5 * n)
    assert np.exp(two_gamma(n, shape=1.0, shift=0.5)) == pytest.approx(np.abs(given_z - everyone).mean(), rel=0.03)
