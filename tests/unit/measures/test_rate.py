"""r, lambda_k, Chernoff exponents: values on paper, slow twins, refusals; and a wrong reference is caught."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.measures.chernoff import chernoff, chernoff_exponents
from leaq.measures.gaps import Gaps, gaps, merge_duplicates, rate_of
from leaq.measures.rate import order_changes, rank_stability, rate
from leaq.types import LossTable
from tests.helpers import ROUNDING


def table(losses, n_train=100):
    losses = np.asarray(losses, float)
    losses = losses[None] if losses.ndim == 2 else losses
    return LossTable(losses, np.zeros((len(losses), losses.shape[2]), bool), "regression", "iid", n_train)


def noisy(means, n=500, seed=0):
    means = np.asarray(means, float)
    return np.random.default_rng(seed).normal(means[:, None], 1.0, (len(means), n))


def slow_rate(losses):
    """The definition, one candidate at a time."""
    best = min(range(len(losses)), key=lambda k: losses[k].mean())
    others = [losses[k] - losses[best] for k in range(len(losses)) if k != best]
    return min(d.mean() ** 2 / (2 * d.var(ddof=1)) for d in others)


def wrong_rate(losses):
    """The same against the first candidate, whichever is best."""
    return min(d.mean() ** 2 / (2 * d.var(ddof=1)) for d in losses[1:] - losses[0])


def test_rate_follows_its_definition_and_a_wrong_reference_does_not():
    losses = noisy([0.4, 0.0, 0.3, 0.9])
    assert Gaps.of(losses).rate == pytest.approx(slow_rate(losses), rel=1e-10)
    assert rate(table(losses)).plug_in == pytest.approx(slow_rate(losses), rel=1e-10)
    assert Gaps.of(losses).rate != pytest.approx(wrong_rate(losses), rel=1e-3)


def test_lambda_matrix_follows_its_definition():
    losses = noisy([0.0, 0.2, 0.5, 0.6])
    losses = losses[np.argsort(losses.mean(1))]
    found = Gaps.of(losses)
    delta, d = losses.mean(1) - losses[0].mean(), losses - losses[0]
    slow = np.array(
        [[delta[1] ** 2 / (delta[j] * delta[k]) * np.cov(d[j], d[k])[0, 1] for k in range(1, 4)] for j in range(1, 4)]
    )
    np.testing.assert_allclose(found.Lambda, slow, **ROUNDING)
    assert found.delta[1] ** 2 / (2 * found.lambdas.max()) == pytest.approx(found.rate)


@pytest.mark.parametrize("shift", [0.1, 0.5, 2.0])
def test_chernoff_follows_a_direct_search(shift):
    d = np.random.default_rng(3).normal(shift, 1.0, 400)
    slow = -minimize_scalar(lambda t: np.log(np.mean(np.exp(-t * d))), bounds=(0, 50), method="bounded").fun
    assert chernoff(d) == pytest.approx(slow, rel=1e-6)


def test_chernoff_edges():
    assert chernoff(np.array([1.0, 2.0])) == np.inf
    assert chernoff(np.array([0.0, 1.0])) == pytest.approx(np.log(2))
    assert chernoff(np.array([-1.0, 0.5])) == 0.0
    assert chernoff_exponents(np.zeros((1, 3)))[0] == 0.0
    with pytest.raises(InvalidInput, match="must be finite"):
        chernoff(np.array([np.nan, 1.0]))


def test_the_union_bound_and_the_asymptotic_value_are_both_given():
    found = rate(table(noisy([0.0, 1.0, 1.5]), n_train=50))
    assert found.asymptotic.value == pytest.approx(np.exp(-50 * found.r.value))
    assert found.n_r.value == pytest.approx(50 * found.r.value)
    exponents = chernoff_exponents(np.diff(noisy([0.0, 1.0, 1.5])[[0, 1, 0, 2]], axis=0)[::2])
    assert found.union_bound.value == pytest.approx(2 * np.exp(-50 * exponents).sum(), rel=1e-6)


def test_a_tie_reaches_zero_and_is_flagged():
    found = rate(table(noisy([0.0, 0.0, 0.5])))
    assert found.r.low == 0.0
    assert {"order-unstable", "n-r-small"} <= {flag.code for flag in found.flags}


def test_the_value_lies_inside_its_interval_and_one_run_is_flagged():
    for seed in range(10):
        r = rate(table(noisy([0.0, 0.1, 0.1, 0.3], seed=seed))).r
        assert r.low <= r.value <= r.high
    assert "one-run" in {flag.code for flag in r.flags} or r.n == 1


def test_duplicates_are_merged_and_counted():
    losses = noisy([0.0, 0.5])
    doubled = np.concatenate([losses, losses + 1e-9 * np.random.default_rng(0).normal(size=losses.shape)])
    assert len(merge_duplicates(doubled)) == 2
    found = rate(table(doubled))
    assert found.candidates == 2
    assert "merged-candidates" in {flag.code for flag in found.flags}


def test_a_worse_candidate_that_never_varies_gives_an_infinite_rate():
    base = noisy([0.0])[0]
    assert (
        rate_of(*gaps(np.stack([base, base + 1]))) == pytest.approx(np.inf)
        or Gaps.of(np.stack([base, base + 1])).rate > 1e10
    )


def test_fewer_records_than_candidates_is_flagged():
    flags = {flag.code for flag in rate(table(noisy(np.linspace(0, 1, 12), n=8))).flags}
    assert "few-records" in flags


def test_refusals():
    with pytest.raises(NotEnoughEvidence, match="at least 2 distinct candidates"):
        rate(table(np.ones((3, 20))))
    with pytest.raises(NotEnoughEvidence, match="at least 2 distinct candidates"):
        rate(table(noisy([0.0])))
    with pytest.raises(NotEnoughEvidence, match="at least 4 held-out records"):
        rate(table(noisy([0.0, 1.0], n=3)))
    with pytest.raises(InvalidInput, match=r"\(candidates, records\)"):
        gaps(np.zeros(3))
    with pytest.raises(InvalidInput, match="first in candidate 1"):
        gaps(np.array([[0.0, 1.0], [np.inf, 1.0]]))
    with pytest.raises(NotEnoughEvidence, match="at least 2 candidates"):
        rate_of(np.zeros(1), np.zeros(1))


def test_order_figures():
    assert order_changes([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]) == 1.0
    assert rank_stability([[1.0, 1.1, 0.9], [5.0, 5.2, 5.1]]) == 1.0
    with pytest.raises(InvalidInput, match="same length"):
        order_changes([1.0], [1.0, 2.0])
    with pytest.raises(InvalidInput, match="quantizers >= 2"):
        rank_stability([[1.0]])
