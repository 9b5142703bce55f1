"""Metrics against scikit-learn's, model by model on the records that did not train it."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score, roc_auc_score, root_mean_squared_error

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.measures.performance import by_model, drop, held_out_drop, held_out_loss, metrics_of, performance
from leaq.results.metrics import metric
from leaq.types import LossTable


def table(rng, k, task):
    s, n = 3, 60
    targets = np.arange(n) % max(k, 2) if task == "classification" else rng.normal(size=n)
    outputs = rng.normal(size=(s, n, k))
    if task == "classification":
        outputs += 1.5 * np.eye(k)[targets]
    else:
        outputs[..., 0] += targets
    members, losses, groups = rng.random((s, n)) < 0.5, rng.random((s, 1, n)), np.arange(n) // 2
    return LossTable(losses, members, task, "pool", n_train=30, outputs=outputs, targets=targets, groups=groups)


@pytest.mark.parametrize("k", [2, 3])
def test_classification_is_what_scikit_learn_says(rng, k):
    made = table(rng, k, "classification")
    found = by_model(made, draws=5)
    for model in range(3):
        out = ~made.members[model]
        odds = np.exp(made.outputs[model][out])
        share = odds / odds.sum(1, keepdims=True)
        area = roc_auc_score(made.targets[out], share[:, 1] if k == 2 else share, multi_class="ovr")
        assert found["roc_auc"][model, 0] == pytest.approx(area)
        assert found["accuracy"][model, 0] == pytest.approx(accuracy_score(made.targets[out], share.argmax(1)))


def test_regression_is_what_scikit_learn_says(rng):
    made = table(rng, 1, "regression")
    found = by_model(made, draws=5)
    for model in range(3):
        out = ~made.members[model]
        y, said = made.targets[out], made.outputs[model][out, 0]
        for name, theirs in (("r2", r2_score), ("rmse", root_mean_squared_error), ("mae", mean_absolute_error)):
            assert found[name][model, 0] == pytest.approx(theirs(y, said)), name


def test_r2_far_from_zero_is_that_near_it(rng):
    """Mean squares of 10 ** 8 + 1 lose what sets the values apart: R2 was off, or could not be had."""
    made = table(rng, 1, "regression")
    far = replace(made, outputs=made.outputs + 1e8, targets=made.targets + 1e8)
    np.testing.assert_allclose(by_model(far, draws=5)["r2"], by_model(made, draws=5)["r2"], rtol=1e-6)


def test_an_estimate_is_the_mean_over_models_with_an_interval_around_it(rng):
    made = table(rng, 2, "classification")
    found = performance(made, draws=100)
    assert metrics_of(made) == "classification"
    for name, one in found.items():
        assert one.value == pytest.approx(by_model(made, draws=5)[name][:, 0].mean())
        assert one.low <= one.value <= one.high
        assert one.high - one.low > 0.02
        assert one.n == (~made.members).sum()


def test_an_interval_ends_where_the_metric_does(rng):
    """With few models it is as wide as Student's t: a ROC-AUC of 0.995 had one up to 1.001, an RMSE one below 0."""
    kind, value = table(rng, 2, "classification"), table(rng, 1, "regression")
    sure = np.where(kind.members[..., None], 0.0, 9.0 * np.eye(2)[kind.targets])
    sure[0] = kind.outputs[0]
    near = value.targets[None, :, None] + np.array([1e-3, 1e-3, 2.0])[:, None, None] * rng.normal(size=(3, 60, 1))
    for made in (replace(kind, outputs=sure), replace(value, outputs=near)):
        for name, one in performance(made, draws=100).items():
            low, high = metric(name).bounds
            assert low <= one.low <= one.value <= one.high <= high
    assert performance(replace(kind, outputs=sure), draws=100)["accuracy"].high == 1
    assert performance(replace(value, outputs=near), draws=100)["rmse"].low == 0


def test_a_drop_is_paired(rng):
    made = table(rng, 2, "classification")
    worse = LossTable(
        made.losses, made.members, made.task, made.game, n_train=30, targets=made.targets, groups=made.groups,
        outputs=made.outputs + rng.normal(size=made.outputs.shape) * 0.01,
    )  # fmt: skip
    lost = drop(worse, made, draws=100)["roc_auc"]
    alone = performance(worse, draws=100)["roc_auc"]
    assert abs(lost.value) < 0.01
    assert lost.high - lost.low < 0.2 * (alone.high - alone.low)
    same = drop(made, made, draws=20)["accuracy"]
    assert (same.value, same.low, same.high) == (0, 0, 0)
    flipped = LossTable(made.losses, ~made.members, made.task, made.game, n_train=30)
    with pytest.raises(InvalidInput, match="same models and members"):
        drop(made, flipped)


def test_what_is_needed_is_named(rng):
    made = table(rng, 2, "classification")
    bare = LossTable(made.losses, made.members, made.task, made.game, n_train=30)
    with pytest.raises(InvalidInput, match="must hold outputs and targets"):
        performance(bare)
    members = made.members.copy()
    members[1] = True
    full = LossTable(made.losses, members, made.task, made.game, n_train=30, outputs=made.outputs, targets=made.targets)
    with pytest.raises(NotEnoughEvidence, match="Model 1 has none"):
        performance(full)


def test_means_are_of_non_members(rng):
    outside = rng.exponential(1.0, 200)
    table = LossTable.from_losses(np.zeros(50), outside)
    found = held_out_loss(table)
    assert found.value == pytest.approx(outside.mean())
    assert found.low < outside.mean() < found.high
    assert found.n == 200


def test_a_constant_cost_has_no_doubt(rng):
    outside = rng.exponential(1.0, 50)
    before, after = LossTable.from_losses(np.zeros(5), outside), LossTable.from_losses(np.zeros(5), outside + 0.25)
    found = held_out_drop(after, before)
    assert (found.low, found.value, found.high) == pytest.approx((0.25, 0.25, 0.25))
