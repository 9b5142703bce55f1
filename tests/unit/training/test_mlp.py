"""Stacked training against its slow twin: one model at a time, torch.nn and torch.optim, the same seeds."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from leaq.data.splits import halves
from leaq.data.tables import from_arrays
from leaq.seeds import stream
from leaq.training import TrainingConfig, batched, train
from leaq.training.backprop import Backprop
from leaq.training.mlp import MLP
from tests.helpers import ROUNDING32

MODELS = 4


def records(task, rng, n=46, d=5, *, constant=False):
    """Sizes that leave a last batch smaller than the others, and (46 = 23 + 23) equal halves."""
    x = rng.normal(size=(n, d)) * [1, 10, 0.1, 1, 1] + [0, 100, 0, 0, 3]
    if constant:
        x[:, [1, 3]] = [0.0, 7.0]
    y = rng.integers(3, size=n) if task == "classification" else 5 + 2 * rng.normal(size=n)
    return from_arrays(x, y)


def by_hand(samples, members, config, *, seed, model):
    """One model: nn.Sequential, autograd, torch.optim, batches from the model's own stream."""
    dtype = getattr(torch, config.dtype)
    x = torch.tensor(samples.inputs, dtype=dtype)
    y = torch.tensor(samples.targets)
    rows = np.flatnonzero(members)
    regression = samples.task == "regression"
    fitted = {"members": rows, "pool": np.arange(len(x)), "none": None}[config.standardise]
    if fitted is not None:
        mean, scale = x[fitted].mean(0), x[fitted].std(0, correction=0)
        scale = torch.where(scale > 1e-12, scale, 1.0)
        x = (x - mean) / scale
        if regression:
            y = (y - y[fitted].mean()) / y[fitted].std(correction=0)
    y = y.to(dtype) if regression else y
    mlp = MLP(x.shape[1], max(1, len(samples.classes)), config.hidden, samples.task)
    widths = mlp.widths
    layers = [torch.nn.Linear(a, b, dtype=dtype) for a, b in pairwise(widths)]
    first = mlp.init(seed, [model], dtype=dtype)
    for i, layer in enumerate(layers):
        layer.weight.data = first[f"layers.{i}.weight"][0].clone()
        layer.bias.data = first[f"layers.{i}.bias"][0].clone()
    net = torch.nn.Sequential(*[part for layer in layers for part in (layer, torch.nn.ReLU())][:-1])
    make = {
        "adam": lambda p: torch.optim.Adam(p, lr=config.learning_rate, weight_decay=config.weight_decay),
        "sgd": lambda p: torch.optim.SGD(
            p, lr=config.learning_rate, momentum=config.momentum, weight_decay=config.weight_decay
        ),
    }
    optimizer = make[config.optimizer](net.parameters())
    rng = stream(seed, "batches", model)
    for _ in range(config.epochs):
        order = rng.permutation(rows)
        for start in range(0, len(order), config.batch_size):
            batch = torch.tensor(order[start : start + config.batch_size])
            out = net(x[batch])
            loss = (
                ((out.squeeze(-1) - y[batch]) ** 2).mean()
                if regression
                else torch.nn.functional.cross_entropy(out, y[batch])
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return {f"layers.{i}.{kind}": getattr(layer, kind).detach() for i, layer in enumerate(layers) for kind in WEIGHTS}


WEIGHTS = ("weight", "bias")


def worst(task, optimizer, rng, *, decay=0.0, constant=False, hidden=(7, 6), dtype="float64", rule="pool"):
    """Largest difference between the stacked weights and those of the twin, over all models and layers."""
    samples = records(task, rng, constant=constant)
    members = halves(samples, MODELS, seed=3)
    config = TrainingConfig(
        hidden=hidden,
        epochs=4,
        batch_size=10,
        learning_rate=0.01,
        optimizer=optimizer,
        weight_decay=decay,
        checkpoints=2,
        dtype=dtype,
        standardise=rule,
    )
    _, checkpoints = train(samples, members, config, seed=11)
    last = checkpoints.last()
    gaps = []
    for model in range(MODELS):
        for name, twin in by_hand(samples, members[model], config, seed=11, model=model).items():
            gaps.append(float((last.params[name][model] - twin).abs().max()))
    return max(gaps)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_stacked_models_equal_models_trained_one_by_one(task, optimizer, rng):
    assert worst(task, optimizer, rng) < 1e-12


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_weight_decay_reaches_every_weight_even_of_constant_columns(optimizer, rng):
    assert worst("classification", optimizer, rng, decay=0.1, constant=True) < 1e-12


@pytest.mark.parametrize("rule", ["members", "pool", "none"])
def test_leaving_out_constant_columns_changes_nothing(rule, rng):
    """Without standardisation a constant column other than 0 is a second bias, and trained."""
    assert worst("regression", "adam", rng, constant=True, rule=rule) < 1e-11


def test_members_of_their_own_statistics_are_standardised_each_by_its_own(rng):
    assert worst("classification", "sgd", rng, rule="members") < 1e-12


def test_a_linear_head_is_trained_too(rng):
    assert worst("classification", "adam", rng, hidden=()) < 1e-12


def test_float32_agrees_within_its_rounding(rng):
    assert worst("classification", "sgd", rng, dtype="float32") < 1e-4


def test_the_comparison_catches_a_wrong_gradient(rng, monkeypatch):
    original = Backprop._loss_gradient

    def wrong(self, outputs, targets, weights):
        return original(self, outputs, targets, weights) * (1 + 1e-6)

    monkeypatch.setattr(Backprop, "_loss_gradient", wrong)
    assert worst("classification", "sgd", rng) > 1e-10


def test_a_model_is_the_same_in_whatever_chunk_it_is_trained(rng):
    samples = records("classification", rng)
    members = halves(samples, 6, seed=0)
    config = TrainingConfig(hidden=(8,), epochs=3, checkpoints=3)
    _, whole = train(samples, members, config, seed=5)
    _, part = train(samples, members[2:5], config, seed=5, first=2)
    for name, tensor in part.params.items():
        np.testing.assert_allclose(tensor, whole.params[name][2:5], **ROUNDING32)
    _, other = train(samples, members, config, seed=6)
    assert not torch.equal(other.params["layers.0.weight"], whole.params["layers.0.weight"])


def test_unequal_numbers_of_members_keep_each_model_its_own_mean_loss(rng):
    """A model with fewer members has empty places in the last batch; they must not count."""
    samples = records("regression", rng)
    members = halves(samples, 2, seed=0)
    members[1, np.flatnonzero(members[1])[:2]] = False
    config = TrainingConfig(hidden=(4,), epochs=2, batch_size=9, checkpoints=1, dtype="float64", standardise="members")
    _, both = train(samples, members, config, seed=1)
    twin = by_hand(samples, members[1], config, seed=1, model=1)
    assert (
        len(list(batched.Batches(members, config, seed=1, first=0)))
        == batched.Batches(members, config, seed=1, first=0).total
    )
    for name, tensor in twin.items():
        np.testing.assert_allclose(both.last().params[name][1], tensor, atol=1e-12)
