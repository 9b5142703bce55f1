"""DP-SGD by Opacus: what is stated must be what was run."""

import math

import numpy as np
import pytest

from leaq.data import from_arrays
from leaq.embedders import embed
from leaq.errors import InvalidInput
from leaq.training import TrainingConfig
from leaq.training.private import PrivateTraining, train_private
from tests.helpers import require

SMALL = TrainingConfig(hidden=(4,), epochs=2, batch_size=10)


@pytest.fixture
def samples(rng):
    x = rng.normal(size=(41, 3))
    return embed(from_arrays(x, (x[:, 0] > 0).astype(int)))


def halves(n):
    inside = np.arange(n) % 2 == 0
    return np.stack([inside, ~inside])


def test_the_stated_epsilon_is_spent_and_not_more(samples):
    require("opacus")
    private = PrivateTraining(epsilon=3)
    mlp, weights, spent = train_private(samples, halves(41), SMALL, private, seed=0)
    assert 2.5 < spent <= 3.01
    assert weights.batch == (2,)
    assert set(weights.params) == set(mlp.roles)
    assert private.delta(20) < 1 / 20


def test_training_is_reproducible_and_scalers_say_nothing_about_members(samples):
    require("opacus")
    private = PrivateTraining(epsilon=math.inf)
    runs = [train_private(samples, halves(41), SMALL, private, seed=s)[1].params for s in (0, 0, 1)]
    assert all((runs[0][name] == runs[1][name]).all() for name in runs[0])
    assert not (runs[0]["layers.0.weight"] == runs[2]["layers.0.weight"]).all()
    assert (runs[0]["input.mean"][0] == runs[0]["input.mean"][1]).all()


def test_regression_heads_train_too(rng):
    require("opacus")
    x = rng.normal(size=(40, 3))
    samples = embed(from_arrays(x, x[:, 0] * 3 + 7, task="regression"))
    _, weights, spent = train_private(samples, halves(40), SMALL, PrivateTraining(epsilon=math.inf), seed=0)
    assert math.isinf(spent)
    assert float(weights.params["output.mean"][0, 0]) == pytest.approx(samples.targets.mean(), rel=1e-5)


def test_every_condition_is_said():
    said = PrivateTraining(epsilon=1).describe(100)
    for part in ("ε=1", "δ=0.001", "Poisson sampling", "PRV accountant", "one record more or less", "outside"):
        assert part in said
    assert "no guarantee" in PrivateTraining(epsilon=math.inf).describe(100)
    assert PrivateTraining(epsilon=math.inf).label() == "DP-SGD ε=∞"
    with pytest.raises(InvalidInput, match="epsilon"):
        PrivateTraining(epsilon=0)
