"""The reference: against all training sets there are, and closed forms whose slope is Chernoff's, not always r."""

from itertools import product

import numpy as np
import pytest

from leaq.errors import InvalidInput
from leaq.measures.exact import exact_leak, two_gamma, two_gaussian, union_bound
from leaq.measures.finite_sample import Options, finite_sample, leak_of
from leaq.types import LossTable
from tests.helpers import sampling


def enumerated(losses, n):
    """The leak over every training set of n records of the pool."""
    pool = losses.shape[1]
    law = np.zeros(losses.shape)
    for rows in product(range(pool), repeat=n):
        law[losses[:, list(rows)].sum(1).argmin(), rows[0]] += pool ** -(n - 1)
    return 0.5 * np.abs(law - law.mean(1, keepdims=True)).sum(0).mean()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_counting_equals_full_enumeration(n):
    losses = np.random.default_rng(n).random((5, 4))
    found = exact_leak(losses, n, most=16000)
    np.testing.assert_allclose(found.value, enumerated(losses, n), **sampling(max(found.error, 1e-4), 5))


def test_slope_of_the_log_leak_is_chernoffs():
    r = 0.4**2 / 2
    slope = -(two_gaussian(round(20 / r), delta=0.4, sigma=1.0) - two_gaussian(round(10 / r), delta=0.4, sigma=1.0))
    assert slope / (round(20 / r) - round(10 / r)) == pytest.approx(r, rel=0.05)
    r_c, r = np.log(2) - 0.5, 0.125
    low, high = round(10 / r_c), round(20 / r_c)
    slope = -(two_gamma(high, shape=1.0, shift=0.5) - two_gamma(low, shape=1.0, shift=0.5)) / (high - low)
    assert slope == pytest.approx(r_c, rel=0.05)
    assert slope > 1.4 * r


def test_the_closed_form_agrees_with_counting():
    rng = np.random.default_rng(0)
    d = rng.normal(0.2, 1.0, 4000)
    d += 0.2 - d.mean()
    losses = np.stack([np.zeros_like(d), d / d.std()])
    found = leak_of(losses, 20, options=Options(resamples=0))
    assert found.raw == pytest.approx(np.exp(two_gaussian(20, delta=0.2 / d.std(), sigma=1.0)), rel=0.05)


def test_the_union_bound_holds():
    losses = np.random.default_rng(1).random((6, 30)) + np.arange(6)[:, None] / 5
    assert exact_leak(losses, 40, most=8000).split <= union_bound(losses, 40)


def test_finite_sample_is_within_ten_percent_of_the_exact_leak():
    rng = np.random.default_rng(2)
    losses = np.logaddexp(0, -rng.normal(size=(40, 3)) @ rng.normal(size=(3, 200)))
    exact = exact_leak(losses, 200, most=32000)
    found = leak_of(losses, 200, options=Options(resamples=0))
    assert exact.gap <= 0.03
    assert found.raw == pytest.approx(exact.value, rel=0.1)
    assert found.split <= found.raw <= found.plug_in


def test_the_pool_game_leaks_more_than_independent_members():
    losses = np.random.default_rng(3).normal(np.linspace(0, 0.3, 8)[:, None], 1.0, (8, 200))
    iid = leak_of(losses, 100, options=Options(resamples=0)).raw
    assert leak_of(losses, 100, options=Options(resamples=0, pool=200)).raw > 1.1 * iid


def test_few_records_are_flagged_and_the_cut_is_reported():
    losses = np.random.default_rng(4).normal(np.linspace(0, 1, 6)[:, None], 1.0, (6, 300))
    found = finite_sample(LossTable(losses[None], np.zeros((1, 300), bool), "regression", "iid", 100))
    assert {"few-records-for-n", "low-k-cut", "bias-corrected"} <= {flag.code for flag in found.flags}
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize("n", [0, -3])
def test_negative_n_is_refused(n):
    for call in (
        lambda: exact_leak(np.eye(2), n),
        lambda: leak_of(np.eye(4), n),
        lambda: two_gaussian(n, delta=1, sigma=1),
    ):
        with pytest.raises(InvalidInput, match=f"at least 1. Found {n}"):
            call()


def test_wrong_shifts_are_refused():
    with pytest.raises(InvalidInput, match="0 < shift"):
        two_gamma(3, shape=1.0, shift=2.0)
