"""Where sums over records are taken in another way for speed, they are the same to the last digit."""

import numpy as np
import pytest

from leaq.stats.intervals import BootstrapWeights, TwoWay
from leaq.stats.roc import above, weighted_auc


@pytest.mark.parametrize("decimals", [1, 9], ids=["many ties", "no ties"])
def test_the_area_is_the_share_of_drawn_pairs_in_which_the_positive_scores_higher(decimals, rng):
    scores, positive = rng.normal(size=60).round(decimals), rng.random(60) < 0.3
    weights = rng.integers(0, 4, size=(7, 60)).astype(float)
    inside, outside = scores[positive][:, None], scores[~positive]
    wins = (inside > outside) + (inside == outside) / 2
    pairs = np.einsum("bi,bo,io->b", weights[:, positive], weights[:, ~positive], wins)
    expected = pairs / (weights[:, positive].sum(1) * weights[:, ~positive].sum(1))
    np.testing.assert_allclose(weighted_auc(scores, positive, weights), expected, rtol=1e-12)


def test_the_area_is_undefined_in_a_draw_without_one_kind(rng):
    scores, positive = rng.normal(size=10), np.arange(10) < 5
    weights = np.stack([np.ones(10), 1.0 * positive, 1.0 * ~positive])
    assert np.isnan(weighted_auc(scores, positive, weights)).tolist() == [False, True, True]


@pytest.mark.parametrize("cuts", [5, 500], ids=["records looked up by cuts", "cuts looked up by records"])
def test_shares_above_cuts_are_counted_the_same_either_way(cuts, rng):
    scores, positive = rng.normal(size=(3, 80)).round(1), rng.random((3, 80)) < 0.5
    limits = np.unique(np.r_[rng.normal(size=cuts), scores[0, :3]])
    found = above(scores, positive, limits)
    for shares, kind in zip(found, (positive, ~positive), strict=True):
        expected = [[(row[mask] > cut).mean() for cut in limits] for row, mask in zip(scores, kind, strict=True)]
        np.testing.assert_allclose(shares, expected, atol=1e-15)


def test_drawn_decisions_are_counted_exactly_whatever_holds_the_counts(rng):
    ways = TwoWay.draw(4, np.arange(3000) // 2, draws=9, rng=rng)
    decisions = rng.random((4, 3000)) < 0.5
    found = BootstrapWeights(ways, decisions).weight(decisions)
    np.testing.assert_array_equal(found, BootstrapWeights(ways, decisions).weight(decisions.astype(float)))
    assert found.dtype == np.float64
