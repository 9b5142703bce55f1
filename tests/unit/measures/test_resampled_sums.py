import numpy as np
import pytest

from leaq.measures.finite_sample import Options, leak_of
from leaq.measures.resampled_sums import MemberSampling, SampledSets, stand_ins, with_replacement
from tests.unit.measures.cases import MANY, close_to, drawn, every_half


def test_records_that_stand_for_several_of_the_pool():
    losses = drawn(5, n=4)
    pool = np.repeat(losses, stand_ins(4, 10), axis=1)
    close_to(every_half(pool, 5), leak_of(losses, 5, options=Options(**{**MANY.__dict__, "pool": 10})))


def test_a_pool_smaller_than_the_records_takes_a_cross_section():
    losses = drawn(6, n=8)
    kept = losses[:, stand_ins(8, 5) == 1]
    close_to(every_half(kept, 2), leak_of(losses, 2, options=Options(**{**MANY.__dict__, "pool": 5})))


@pytest.mark.parametrize("n", [3, 200])
def test_both_ways_of_drawing_with_replacement_have_the_binomial_moments(n):
    """Few draws a record are drawn one by one, many as binomials."""
    counts = with_replacement(8, n, 20_000, np.random.default_rng(0))
    assert (counts.sum(1) == n).all()
    np.testing.assert_allclose(counts.mean(0), n / 8, rtol=0.04)
    np.testing.assert_allclose(np.cov(counts.T)[0, :2], [n * 7 / 64, -n / 64], rtol=0.15)


def test_training_sets_of_a_pool_are_what_they_are_called():
    sets = SampledSets.sets(5, MemberSampling(4, pool=10), 3000, np.random.default_rng(0))
    assert (sets.counts.sum(1) == 4).all()
    assert (sets.counts <= sets.copies).all()
    rows = np.arange(3000)
    assert (sets.counts[rows, sets.leaving] > 0).all()
    assert (sets.counts[rows, sets.joining] < sets.copies[sets.joining]).all()
    np.testing.assert_allclose(np.bincount(sets.leaving, minlength=5) / 3000, 0.2, atol=0.04)
    np.testing.assert_allclose(np.bincount(sets.joining, minlength=5) / 3000, 0.2, atol=0.04)
