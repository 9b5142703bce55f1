"""What r and the finite-sample leak must not depend on: order, unit, constants per record; counting and its twin."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaq.measures.argmin_counts import ArgminCounter
from leaq.measures.finite_sample import Options, leak_of
from leaq.measures.loss_gaps import LossGaps, merge_duplicates
from leaq.measures.rate import rate
from leaq.types import LossTable

seeds = st.integers(0, 2**31)


def found(losses):
    r = rate(LossTable(losses[None], np.zeros((1, losses.shape[1]), bool), "regression", "iid", 50), draws=20).r
    return r.value, r.low, r.high


def losses_of(seed):
    rng = np.random.default_rng(seed)
    c, n = rng.integers(2, 7), rng.integers(20, 80)
    return rng.normal(rng.random((c, 1)), 1.0, (c, n)), rng


@given(seeds)
@settings(max_examples=25)
def test_order_of_records_and_candidates_is_irrelevant(seed):
    losses, rng = losses_of(seed)
    shuffled = losses[rng.permutation(len(losses))][:, rng.permutation(losses.shape[1])]
    assert found(shuffled) == pytest.approx(found(losses), rel=1e-9, abs=1e-12)


@given(seeds, st.floats(1e-3, 1e3))
@settings(max_examples=25)
def test_the_unit_of_the_losses_is_irrelevant(seed, unit):
    losses, _ = losses_of(seed)
    assert found(losses * unit) == pytest.approx(found(losses), rel=1e-7, abs=1e-12)


@given(seeds)
@settings(max_examples=25)
def test_a_constant_per_record_changes_nothing(seed):
    losses, rng = losses_of(seed)
    assert found(losses + rng.normal(0, 3, losses.shape[1])) == pytest.approx(found(losses), rel=1e-7, abs=1e-12)


@given(seeds)
@settings(max_examples=25)
def test_repeating_candidates_changes_nothing_after_merging(seed):
    losses, rng = losses_of(seed)
    doubled = np.concatenate([losses, losses[rng.integers(len(losses), size=3)]])
    np.testing.assert_array_equal(merge_duplicates(doubled), losses)


def leak(losses, n=20):
    found = leak_of(losses, n, options=Options(draws=200, most=200, close=9.0, resamples=3, bootstrap_draws=50))
    return found.raw, found.value, found.low, found.high, found.cut


def losses_with_ties(seed, ties):
    """Ties: losses of 0 and 1, so that the sums of different candidates are often equal."""
    losses, rng = losses_of(seed)
    return (rng.random(losses.shape) < rng.random((len(losses), 1))).astype(float) if ties else losses, rng


@given(seeds, st.booleans())
@settings(max_examples=20)
def test_the_finite_sample_leak_does_not_depend_on_order(seed, ties):
    losses, rng = losses_with_ties(seed, ties)
    shuffled = losses[rng.permutation(len(losses))][:, rng.permutation(losses.shape[1])]
    assert leak(shuffled) == pytest.approx(leak(losses), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("seed", [1, 2, 10, 13])
def test_candidates_of_equal_mean_and_spread_have_an_order_of_their_own(seed):
    """Five candidates of losses 0 and 1, two of them alike in both: one of them wins ties, whichever came first."""
    rng = np.random.default_rng(seed)
    losses = rng.integers(0, 2, (5, 11)).astype(float)
    found = {leak(losses[rng.permutation(5)][:, rng.permutation(11)], n=3)[0] for _ in range(6)}
    assert len(found) == 1


@given(seeds, st.booleans(), st.sampled_from([2.0**-9, 8.0, 1e3, 0.3]))
@settings(max_examples=20)
def test_the_finite_sample_leak_does_not_depend_on_the_unit(seed, ties, unit):
    losses, _ = losses_with_ties(seed, ties)
    assert leak(losses * unit) == pytest.approx(leak(losses), rel=1e-6, abs=1e-12)


@given(seeds)
@settings(max_examples=20)
def test_a_constant_per_record_does_not_change_the_finite_sample_leak(seed):
    losses, rng = losses_of(seed)
    moved = losses + rng.normal(0, 3, losses.shape[1])
    assert leak(moved) == pytest.approx(leak(losses), rel=1e-6, abs=1e-12)


@given(seeds)
@settings(max_examples=20)
def test_gaps_against_the_first_candidate_instead_of_the_best_are_caught(seed):
    """A deliberately wrong delta: it depends on the order of candidates, and r would too."""
    losses, _ = losses_of(seed)
    worst_first = losses[np.argsort(-losses.mean(1))]
    wrong = worst_first.mean(1) - worst_first[0].mean()
    right = LossGaps.of(worst_first).delta
    assert (right >= 0).all()
    assert not np.allclose(np.sort(wrong), right)


def count_winners(sums, shifts):
    counter = ArgminCounter(shifts)
    return counter.count(sums / counter.unit)


def slow_winners(sums, shifts, *, last=False):
    """One draw and one record at a time; `last` breaks ties the wrong way, the negative control."""
    counts = np.zeros(shifts.shape)
    for row in sums:
        for z in range(shifts.shape[1]):
            total = row + shifts[:, z]
            best = np.flatnonzero(total == total.min())
            counts[best[-1 if last else 0], z] += 1
    return counts


@given(seeds, st.booleans())
@settings(max_examples=40)
def test_counting_winners_equals_the_slow_twin_with_and_without_ties(seed, ties):
    rng = np.random.default_rng(seed)
    t, k, n = rng.integers(1, 30), rng.integers(1, 8), rng.integers(1, 20)
    draw = (lambda *shape: rng.integers(0, 4, shape).astype(float)) if ties else (lambda *shape: rng.normal(size=shape))
    sums, shifts = draw(t, k), draw(k, n)
    np.testing.assert_array_equal(count_winners(sums, shifts), slow_winners(sums, shifts))


def test_the_twin_catches_ties_broken_the_wrong_way():
    sums, shifts = np.zeros((3, 2)), np.zeros((2, 2))
    assert not np.array_equal(count_winners(sums, shifts), slow_winners(sums, shifts, last=True))
