import numpy as np
import pytest

from leaq.attacks.base import Context
from leaq.attacks.correctness import Correctness
from leaq.types import LossTable, NotComputed


def table(rng, inside, outside, n=4000):
    """Two models that predict a share `inside` of their members rightly and a share `outside` of the others."""
    members = np.stack([np.arange(n) < n // 2, np.arange(n) >= n // 2])
    right = rng.random((2, n)) < np.where(members, inside, outside)
    scores = np.where(right, 1.0, -1.0) * rng.exponential(size=(2, n))
    targets = np.arange(n) % 2
    return LossTable(
        -scores[:, None], members, "classification", "pool", n_train=n // 2, scores=scores, targets=targets
    )


def test_the_advantage_is_the_gap_in_accuracy(rng):
    found = Correctness()(table(rng, 0.95, 0.7)).advantage
    assert found.value == pytest.approx(0.25, abs=0.03)
    assert found.low < 0.25 < found.high


def test_how_sure_the_model_is_does_not_matter(rng):
    made = table(rng, 0.9, 0.6)
    scores = Correctness().scores(Context(made), [0, 1])
    assert set(np.unique(scores)) == {0.0, 1.0}
    np.testing.assert_array_equal(scores, made.scores > 0)


def test_where_members_are_predicted_no_better_nothing_is_found(rng):
    found = Correctness()(table(rng, 0.8, 0.8)).advantage
    assert found.low < 0 < found.high


def test_values_have_no_class_to_be_right_about(rng):
    values = LossTable(rng.random((2, 1, 50)), rng.random((2, 50)) < 0.5, "regression", "pool", n_train=25)
    found = Correctness().run(Context(values))
    assert isinstance(found, NotComputed)
    assert "classes" in found.reason
