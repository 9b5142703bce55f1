"""Every tensor lies where it was told to, so that a GPU finds all of its operands there; tested without a GPU.

Two stand-ins. With the default device set to "meta", whose tensors hold no numbers, a tensor that was made without
naming its device spoils the results or refuses to be copied. And the arithmetic of a step, run on "meta" itself, must
find all operands there: every call is looked at, as a GPU would.
"""

import numpy as np
import pytest
import torch

from leaq.data.splits import halves
from leaq.evaluation import evaluate_checkpoints, with_whitebox
from leaq.quantizers import Calibration, parse_list
from leaq.training import train, train_modules
from leaq.training.backprop import Backprop
from tests.unit.training.cases import CONFIG, TASKS, records


@pytest.fixture
def elsewhere():
    """Make tensors somewhere useless unless told otherwise."""
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)


def module():
    return torch.nn.Sequential(
        torch.nn.Linear(4, 5, device="cpu"), torch.nn.ReLU(), torch.nn.Linear(5, 3, device="cpu")
    )


def perceptron(samples, members):
    model, checkpoints = train(samples, members, CONFIG, seed=0)
    calibration = Calibration(model, samples.inputs, members, seed=0, first=0)
    found = {}
    for quantizer in parse_list("none,sign,ternary(sparsity=0.5),uniform(bits=4),stochastic(bits=2)"):
        quantized = quantizer.fitted_to(checkpoints.last(), calibration)(checkpoints)
        table = evaluate_checkpoints(model, quantized, samples, members, quantizer=quantizer.spec())
        found[quantizer.spec()] = with_whitebox(table, model, quantized, samples)
    return found


def own_module(samples, members):
    model, checkpoints = train_modules(module, samples, members, CONFIG, seed=0)
    assert model.note is None
    return {
        "none": with_whitebox(evaluate_checkpoints(model, checkpoints, samples, members), model, checkpoints, samples)
    }


def same(found, expected):
    for name, table in expected.items():
        for field in ("losses", "scores", "whitebox"):
            np.testing.assert_array_equal(getattr(found[name], field), getattr(table, field))


@pytest.mark.parametrize("task", TASKS)
def test_training_and_evaluation_name_the_device_of_every_tensor(task, rng, request):
    samples = records(task, rng)
    members = halves(samples, 4, seed=0)
    expected = perceptron(samples, members)
    request.getfixturevalue("elsewhere")
    same(perceptron(samples, members), expected)


def test_stacked_modules_name_the_device_of_every_tensor(rng, request):
    samples = records("classification", rng)
    members = halves(samples, 4, seed=0)
    expected = own_module(samples, members)
    request.getfixturevalue("elsewhere")
    same(own_module(samples, members), expected)


def test_the_stand_in_catches_a_tensor_without_a_device(rng, elsewhere, monkeypatch):
    samples = records("classification", rng)
    members = halves(samples, 4, seed=0)
    original = Backprop._loss_gradient

    def forgetful(self, outputs, targets, weights):
        return original(self, outputs, targets, weights * torch.ones(weights.shape))

    monkeypatch.setattr(Backprop, "_loss_gradient", forgetful)
    with pytest.raises((RuntimeError, NotImplementedError)):
        train(samples, members, CONFIG, seed=0)
