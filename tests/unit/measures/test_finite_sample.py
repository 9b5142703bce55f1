"""The finite-sample leak against every training set there is, in both games; the counting against slow twins."""

import copy
from itertools import product

import numpy as np
import pytest

import leaq
from leaq.measures.exact import exact_leak, two_gamma
from leaq.measures.finite_sample import Options, finite_sample, leak_of, mis
from leaq.types import LossTable
from tests.helpers import sampling
from tests.unit.measures.cases import MANY, close_to, drawn, every_half


def every_set(losses, n):
    """Independent members: the leak over every training set of n records, ties to the first candidate."""
    pool = losses.shape[1]
    law = np.zeros(losses.shape)
    for rows in product(range(pool), repeat=n):
        law[losses[:, list(rows)].sum(1).argmin(), rows[0]] += pool ** -(n - 1)
    return 0.5 * np.abs(law - law.mean(1, keepdims=True)).sum(0).mean()


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


@pytest.fixture(scope="module")
def table():
    losses = np.random.default_rng(0).normal([[0.0], [0.1], [0.2]], 1.0, size=(3, 500))
    return LossTable(losses[None], np.zeros((1, 500), bool), "regression", "iid", n_train=100)


def test_it_is_one_minus_the_leak(table):
    found, leak = mis(table), finite_sample(table)
    assert (found.value, found.low, found.high) == (1 - leak.value, 1 - leak.high, 1 - leak.low)
    assert (found.n, found.unit, found.flags) == (leak.n, leak.unit, leak.flags)
    assert repr(found).startswith("Estimate(")


def test_the_rate_is_found_at_its_former_place_with_a_warning(table):
    with pytest.warns(DeprecationWarning, match=r"leaq\.rate\(table\)\.r"):
        former = leaq.mis(table).r
    assert former == leaq.rate(table).r


def test_other_attributes_are_refused(table):
    found = leaq.mis(table)
    with pytest.raises(AttributeError, match="nothing"):
        getattr(found, "nothing")  # noqa: B009
    assert copy.deepcopy(found) == found
