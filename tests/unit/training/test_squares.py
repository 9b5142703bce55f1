"""Private least squares: what it reaches without noise, the noise it adds, and what it may not look at."""

import math
from dataclasses import replace

import numpy as np
import pytest

from leaq.data import from_arrays
from leaq.embedders import embed
from leaq.errors import InvalidInput
from leaq.evaluation import evaluate_checkpoints
from leaq.measures.performance import performance
from leaq.training import TrainingConfig
from leaq.training import squares as room
from leaq.training.squares import SENSITIVITY, PrivateSquares, train_squares
from leaq.training.standardise import gaussian_mu

CONFIG = TrainingConfig(standardise="public")


def records(rng, n, task, *, classes=2):
    x = rng.normal(size=(n, 6)) * [3, 2, 1, 0.1, 0.1, 0.1]
    score = x[:, 0] + x[:, 1]
    y = score if task == "regression" else np.digitize(score, np.linspace(-2, 2, classes + 1)[1:-1])
    return embed(from_arrays(x, y))


def drawn(rng, task, **more):
    pool, public = records(rng, 400, task, **more), records(rng, 200, task, **more)
    inside = np.arange(400) % 2 == 0
    return replace(pool, public=public), np.stack([inside, ~inside])


@pytest.mark.parametrize(
    ("task", "classes", "least"),
    [("regression", 2, 0.9), ("classification", 2, 0.95), ("classification", 3, 0.7)],  # a line hides a middle class
)
def test_without_noise_a_linear_rule_is_found_and_noise_costs(rng, task, classes, least):
    samples, members = drawn(rng, task, classes=classes)
    found = []
    for epsilon in (math.inf, 0.02):
        mlp, weights = train_squares(samples, members, CONFIG, PrivateSquares(epsilon=epsilon, components=6), seed=0)
        table = evaluate_checkpoints(mlp, weights, samples, members)
        found.append(performance(table, draws=1)["r2" if task == "regression" else "roc_auc"].value)
    assert found[0] > least
    assert found[1] < found[0] - 0.05


def test_one_record_moves_the_sums_by_no_more_than_the_sensitivity(rng):
    samples, members = drawn(rng, "regression")
    far = replace(samples, inputs=samples.inputs * 1e3, targets=samples.targets * 1e3)
    public = samples.public.inputs
    basis = room._Basis.of(public, 3)
    own = {"output.mean": np.zeros(1), "output.scale": np.ones(1)}
    v = np.concatenate([basis.scores(far.inputs[members[0]]), room._goals(far, members[0], own)], axis=1)
    assert np.linalg.norm(v[:, :, None] * v[:, None, :], axis=(1, 2)).max() <= SENSITIVITY + 1e-9
    assert np.linalg.norm(v[:, :, None] * v[:, None, :], axis=(1, 2)).max() > 0.9 * SENSITIVITY


def test_the_noise_is_that_of_the_stated_guarantee(monkeypatch):
    """With no record at all the sums are noise alone; its size on the diagonal is sensitivity / mu."""
    seen = []
    monkeypatch.setattr(np.linalg, "eigh", lambda sums: (seen.append(sums.copy()), (np.ones(4), np.eye(4)))[1])
    mu = gaussian_mu(1.0, 1e-3)
    for model in range(2000):
        room._ridge(np.zeros((0, 4)), np.zeros((0, 1)), mu=mu, seed=0, model=model)
    sums = np.array(seen)
    assert np.allclose(sums, sums.swapaxes(1, 2))
    diagonal = sums[:, np.arange(4), np.arange(4)].std() / (SENSITIVITY / mu)
    beside = sums[:, 0, 1].std() / (SENSITIVITY / mu)
    assert abs(diagonal - 1) < 0.04
    assert abs(beside - math.sqrt(0.5)) < 0.04


def test_labels_of_public_records_only_standardise(rng):
    samples, members = drawn(rng, "classification")
    other = replace(samples.public, targets=1 - samples.public.targets)
    private = PrivateSquares(epsilon=3)
    both = [replace(samples, public=public) for public in (samples.public, other)]
    made = [train_squares(one, members, CONFIG, private, seed=0)[1].params for one in both]
    assert all((made[0][name] == made[1][name]).all() for name in made[0])


def test_public_records_are_asked_for(rng):
    samples, members = drawn(rng, "regression")
    with pytest.raises(InvalidInput, match="takes its components from public records. Found none"):
        train_squares(replace(samples, public=None), members, CONFIG, PrivateSquares(epsilon=1), seed=0)
    assert "exact accounting" in PrivateSquares(epsilon=1).describe(100, CONFIG)
    assert "no guarantee" in PrivateSquares(epsilon=math.inf).describe(100)
