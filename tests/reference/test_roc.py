"""ROC arithmetic against counting every pair and every threshold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaq.stats import roc
from leaq.stats.intervals import BootstrapWeights, TwoWay
from leaq.stats.roc import auc, best_threshold, placements, roc_curve, tpr_at_fpr, tpr_draws, weighted_auc
from tests.helpers import ROUNDING


@st.composite
def scored(draw):
    """Scores with many ties, both kinds present."""
    n = draw(st.integers(2, 25))
    scores = np.array(draw(st.lists(st.integers(-3, 3), min_size=n, max_size=n)), dtype=float)
    positive = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    positive[0], positive[1] = True, False
    return scores, positive


def pairs(scores, positive, weights=None):
    weights = np.ones(len(scores)) if weights is None else weights
    won = total = 0.0
    for i in np.flatnonzero(positive):
        for j in np.flatnonzero(~positive):
            w = weights[i] * weights[j]
            won += w * ((scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j]))
            total += w
    return won / total if total else np.nan


def rates(scores, positive, limit, weights=None):
    weights = np.ones(len(scores)) if weights is None else weights
    accused = scores > limit
    fp, tp = (weights[accused & kind].sum() / weights[kind].sum() for kind in (~positive, positive))
    return fp, tp


@given(scored())
def test_area_is_the_share_of_pairs_won(case):
    scores, positive = case
    np.testing.assert_allclose(auc(scores, positive), pairs(scores, positive), **ROUNDING)


@given(scored())
def test_placements_average_to_the_area_on_both_sides(case):
    scores, positive = case
    found = placements(scores, positive)
    for i in np.flatnonzero(positive):
        others = scores[~positive]
        np.testing.assert_allclose(found[i], ((scores[i] > others) + 0.5 * (scores[i] == others)).mean(), **ROUNDING)
    np.testing.assert_allclose(found[~positive].mean(), pairs(scores, positive), **ROUNDING)


@given(scored(), st.integers(0, 2**32 - 1))
def test_weighted_area(case, seed):
    scores, positive = case
    weights = np.random.default_rng(seed).integers(0, 3, size=(4, len(scores))).astype(float)
    naive = [pairs(scores, positive, row) for row in weights]
    np.testing.assert_allclose(weighted_auc(scores, positive, weights), naive, **ROUNDING)


@given(scored(), st.sampled_from([0.0, 0.1, 0.34, 0.5, 1.0]))
def test_rate_at_a_false_positive_rate_tries_every_threshold(case, fpr):
    scores, positive = case
    best = max(
        tp for fp, tp in (rates(scores, positive, t) for t in [*np.unique(scores), -np.inf]) if fp <= fpr + 1e-12
    )
    np.testing.assert_allclose(tpr_at_fpr(scores, positive, fpr), best, **ROUNDING)
    curve = roc_curve(scores, positive)
    np.testing.assert_allclose(curve[1, curve[0] <= fpr + 1e-12].max(), best, **ROUNDING)


@given(scored())
def test_best_threshold_is_no_worse_than_any_other(case):
    scores, positive = case
    limit = best_threshold(scores, positive)
    fp, tp = rates(scores, positive, limit)
    assert tp - fp >= max(b - a for a, b in (rates(scores, positive, t) for t in np.unique(scores))) - 1e-12
    assert tp - fp >= 0


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("fpr", [0.01, 0.1, 0.5, 1.0])
def test_draws_of_the_rate_equal_sorting_everything_anew_each_draw(fpr, ties, rng):
    t, n, b = 4, 50, 30
    positive = rng.random((t, n)) < 0.5
    scores = rng.normal(size=(t, n)) + positive
    scores = np.round(scores, 1) if ties else scores
    models, records = (rng.integers(0, 3, size=(b, size)).astype(float) for size in (t, n))
    found = tpr_draws(scores, BootstrapWeights(TwoWay(models, records), positive), fpr=fpr)
    weights = (models[:, :, None] * records[:, None, :]).reshape(b, -1)
    naive = [
        max(
            tp
            for fp, tp in (
                rates(scores.ravel(), positive.ravel(), limit, row) for limit in [*np.unique(scores), -np.inf]
            )
            if fp <= fpr * (1 + 1e-12)
        )
        for row in weights
    ]
    np.testing.assert_allclose(found, naive, **ROUNDING)


def test_few_rows_at_a_time_change_nothing(rng, monkeypatch):
    positive = rng.random((3, 200)) < 0.5
    scores = rng.normal(size=(3, 200)) + positive
    models, records = (rng.integers(0, 3, size=(20, size)).astype(float) for size in (3, 200))
    drawn = BootstrapWeights(TwoWay(models, records), positive)
    whole = tpr_draws(scores, drawn, fpr=0.1)
    monkeypatch.setattr(roc, "_rows_at_once", lambda _: 3)
    np.testing.assert_allclose(tpr_draws(scores, drawn, fpr=0.1), whole, **ROUNDING)


def test_the_comparison_catches_ties_counted_as_wins(rng, monkeypatch):
    scores, positive = np.array([0.0, 0.0, 1.0, 0.0]), np.array([True, False, True, False])
    monkeypatch.setattr(roc, "_tied_ranges", lambda tied: (np.arange(tied.shape[-1] + 1),) * 2)
    assert auc(scores, positive) != pytest.approx(pairs(scores, positive))
