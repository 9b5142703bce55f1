"""r, lambda_k, Chernoff exponents: values on paper, slow twins, refusals; and a wrong reference is caught."""

import numpy as np
import pytest

from leaq.errors import InvalidInput
from leaq.measures.loss_gaps import LossGaps
from leaq.measures.rate import band, order_changes, rate, relative_draws, rho_of
from leaq.types import LossTable


def table(losses, n_train=100):
    losses = np.asarray(losses, float)
    losses = losses[None] if losses.ndim == 2 else losses
    return LossTable(losses, np.zeros((len(losses), losses.shape[2]), bool), "regression", "iid", n_train)


def noisy(means, n=500, seed=0):
    means = np.asarray(means, float)
    return np.random.default_rng(seed).normal(means[:, None], 1.0, (len(means), n))


def test_a_tie_reaches_zero_and_is_flagged():
    found = rate(table(noisy([0.0, 0.0, 0.5])))
    assert found.r.low == 0.0
    assert {"order-unstable", "n-r-small"} <= {flag.code for flag in found.flags}


def test_the_value_lies_inside_its_interval_and_one_run_is_flagged():
    for seed in range(10):
        r = rate(table(noisy([0.0, 0.1, 0.1, 0.3], seed=seed))).r
        assert r.low <= r.value <= r.high
    assert "one-run" in {flag.code for flag in r.flags} or r.n == 1


def test_fewer_records_than_candidates_is_flagged():
    flags = {flag.code for flag in rate(table(noisy(np.linspace(0, 1, 12), n=8))).flags}
    assert "few-records" in flags


def test_order_figures():
    assert order_changes([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]) == 1.0
    with pytest.raises(InvalidInput, match="same length"):
        order_changes([1.0], [1.0, 2.0])


def ordered(rng, gaps=(0.0, 0.3, 0.8), n=2000):
    losses = rng.normal(np.array(gaps)[:, None], 1.0, size=(len(gaps), n))
    return losses[np.argsort(losses.mean(1))]


def test_a_gap_without_spread_is_infinitely_far_and_no_gap_is_none():
    found = rho_of(np.array([0.5, 0.0, -0.5, 0.5]), np.array([0.0, 0.0, 0.0, 2.0]))
    assert found.tolist() == [np.inf, 0.0, -np.inf, 0.25]


def test_the_band_holds_the_truth_as_often_as_it_says(rng):
    truth = (0.3 / np.sqrt(2)) ** 2 / 2
    held = []
    for _ in range(150):
        losses = ordered(rng)
        low, high = band(losses, LossGaps.of(losses), level=0.9, draws=400, rng=rng)
        held.append(low <= truth <= high)
    assert 0.82 < np.mean(held) <= 1.0


def test_equal_candidates_reach_nothing_and_constant_ones_are_infinitely_far(rng):
    losses = ordered(rng, gaps=(0.0, 0.0))
    assert band(losses, LossGaps.of(losses), level=0.95, draws=400, rng=rng)[0] == 0.0
    whole = np.round(losses[0] * 1024) / 1024  # to which 1 can be added exactly
    far = np.stack([whole, whole + 1.0])
    assert band(far, LossGaps.of(far), level=0.95, draws=400, rng=rng) == (np.inf, np.inf)


def test_shares_of_lambda_begin_with_the_sample_and_lie_between_nothing_and_one(rng):
    losses = ordered(rng)
    found = LossGaps.of(losses)
    shares = relative_draws(losses, found, draws=50, rng=rng)
    assert shares.shape == (51, 2)
    assert ((shares >= 0) & (shares <= 1)).all()
    assert (shares.max(1) == 1).all()
    assert shares[0, 0] == 1  # the nearer candidate decides
    ratios = (found.delta[1:] / found.sigma[1:]) ** 2
    assert shares[0, 1] == pytest.approx(ratios[0] / ratios[1], rel=1e-3)
    assert abs(np.median(shares[:, 1]) - shares[0, 1]) < 0.1
