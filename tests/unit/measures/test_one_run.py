"""Risk from one recorded run: an order that follows what leaks, by ranks alone, and refuses what it cannot order."""

import numpy as np
import pytest
from scipy import stats

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.measures.one_run import FEATURES, WEIGHTS, baselines, lt_iqr, record_risk, run_features


def run(n=200, d=5, c=8, seed=0):
    rng = np.random.default_rng(seed)
    inputs, labels = rng.normal(size=(n, d)), rng.integers(0, 2, n)
    hard = rng.exponential(size=n)
    return hard * np.linspace(1, 0.3, c)[:, None], inputs, labels


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_records_whose_loss_stayed_high_are_exposed_most(task):
    losses, inputs, labels = run()
    risk = record_risk(losses, inputs, labels, task)
    assert stats.spearmanr(risk, losses.mean(0)).statistic > 0.4
    assert 0 < risk.min() < risk.max() < 1
    assert risk.mean() == pytest.approx(0.5)


def test_published_orders_are_of_the_same_losses():
    losses, *_ = run()
    found = baselines(losses)
    np.testing.assert_array_equal(found["LT-IQR"], lt_iqr(losses))
    np.testing.assert_array_equal(found["last loss"], losses[-1])


def test_a_record_far_from_all_others_is_more_exposed_than_its_twin():
    losses, inputs, labels = run()
    losses[:, 1], labels[1] = losses[:, 0], labels[0]
    inputs[1] = 20
    risk = record_risk(losses, inputs, labels, "classification")
    assert risk[1] > risk[0]


def test_units_of_losses_columns_and_targets_do_not_matter():
    losses, inputs, labels = run()
    values = labels + np.random.default_rng(1).normal(size=len(labels))
    there = record_risk(losses, inputs, values, "regression")
    np.testing.assert_allclose(record_risk(100 * losses, 3 * inputs + 1, -7 * values, "regression"), there)


def test_neighbours_are_those_of_a_plain_search():
    losses, inputs, labels = run(n=60)
    x = (inputs - inputs.mean(0)) / inputs.std(0)
    apart = np.linalg.norm(x[:, None] - x[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    order = np.argsort(run_features(losses, inputs, labels, "classification")[:, FEATURES.index("near")])
    assert order.tolist() == np.argsort(apart.min(1)).tolist()


def test_there_is_a_weight_for_every_feature():
    assert all(len(weights) == len(FEATURES) for weights in WEIGHTS.values())


def test_constant_losses_are_ordered_by_the_rest():
    losses, inputs, labels = run()
    assert np.isfinite(record_risk(np.ones_like(losses), inputs, labels, "classification")).all()


def test_the_published_baseline_is_the_range_of_the_middle_half():
    losses = np.array([[4.0, 1.0], [3.0, 1.0], [2.0, 1.0], [1.0, 1.0], [0.0, 1.0]])
    assert lt_iqr(losses).tolist() == [2.0, 0.0]


def test_refusals():
    losses, inputs, labels = run()
    with pytest.raises(NotEnoughEvidence, match="at least 50 members and 4 checkpoints"):
        record_risk(losses[:3], inputs, labels, "classification")
    with pytest.raises(NotEnoughEvidence, match="Found 40 and 8"):
        record_risk(losses[:, :40], inputs[:40], labels[:40], "classification")
    with pytest.raises(InvalidInput, match="of the same records"):
        record_risk(losses[:, :60], inputs, labels, "classification")
    losses[0, 0] = np.nan
    with pytest.raises(InvalidInput, match="Found 1 that are not"):
        record_risk(losses, inputs, labels, "classification")
