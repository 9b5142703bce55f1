"""r, lambda_k, Chernoff exponents: values on paper, slow twins, refusals; and a wrong reference is caught."""

import numpy as np
import pytest

from leaq.errors import InvalidInput
from leaq.measures.rate import order_changes, rate
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
