"""Every tensor lies where it was told to, so that a GPU finds all of its operands there; tested without a GPU.

Two stand-ins. With the default device set to "meta", whose tensors hold no numbers, a tensor that was made without
naming its device spoils the results or refuses to be copied. And the arithmetic of a step, run on "meta" itself, must
find all operands there: every call is looked at, as a GPU would.
"""

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from leaq.data.splits import halves
from leaq.data.tables import from_arrays
from leaq.evaluation import evaluate, with_whitebox
from leaq.models.losses import margin, per_record, residual
from leaq.quantizers import Calibration, parse_list
from leaq.training import MLP, TrainingConfig, train, train_modules
from leaq.training.backprop import Backprop
from leaq.training.batched import Batches

TASKS = ["classification", "regression"]
CONFIG = TrainingConfig(hidden=(6, 5), epochs=2, batch_size=8, checkpoints=2)


@pytest.fixture
def elsewhere():
    """Make tensors somewhere useless unless told otherwise."""
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)


def records(task, rng, n=40):
    x = rng.normal(size=(n, 4))
    x[:, 2] = 1.0  # a constant column is left out of training
    return from_arrays(x, rng.permutation(np.arange(n) % 3) if task == "classification" else rng.normal(size=n))


def module():
    return torch.nn.Sequential(
        torch.nn.Linear(4, 5, device="cpu"), torch.nn.ReLU(), torch.nn.Linear(5, 3, device="cpu")
    )


def perceptron(samples, members):
    model, checkpoints = train(samples, members, CONFIG, seed=0)
    calibration = Calibration(model, samples.inputs, members, seed=0, first=0)
    found = {}
    for quantizer in parse_list("none,sign,ternary(sparsity=0.5),uniform(bits=4),stochastic(bits=2)"):
        quantized = quantizer.frozen_to(checkpoints.last(), calibration)(checkpoints)
        table = evaluate(model, quantized, samples, members, quantizer=quantizer.spec())
        found[quantizer.spec()] = with_whitebox(table, model, quantized, samples)
    return found


def own_module(samples, members):
    model, checkpoints = train_modules(module, samples, members, CONFIG, seed=0)
    assert model.note is None
    return {"none": with_whitebox(evaluate(model, checkpoints, samples, members), model, checkpoints, samples)}


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


class OneDevice(TorchFunctionMode):
    """Refuse every call whose operands lie on two devices; numbers without axes may, as on a GPU."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        flat = torch.utils._pytree.tree_leaves((args, kwargs))
        devices = {item.device.type for item in flat if isinstance(item, torch.Tensor) and item.ndim}
        if len(devices) > 1:
            raise RuntimeError(f"{func} got operands on {sorted(devices)}")
        return func(*args, **kwargs)


def on_meta(task):
    """Weights, inputs (m, b, d), targets and record weights (m, b) of two models, and the model."""
    mlp = MLP(d=4, k=3 if task == "classification" else 1, hidden=(6, 5), task=task)
    params = {name: tensor.to("meta") for name, tensor in mlp.init(0, [0, 1]).items()}
    x, w = torch.empty(2, 7, 4, device="meta"), torch.empty(2, 7, device="meta")
    y = torch.empty(2, 7, dtype=torch.int64 if task == "classification" else torch.float32, device="meta")
    return mlp, params, x, y, w


@pytest.mark.parametrize("task", TASKS)
def test_the_arithmetic_of_a_step_stays_where_its_operands_are(task):
    mlp, params, x, y, w = on_meta(task)
    with OneDevice():
        step = Backprop(mlp, params)
        step(x, y, w)
        outputs = mlp.forward(step.params, x[0])
        found = [step.flat.grad, outputs, mlp.forward(step.params, x), mlp.gradient_signals(step.params, x[0], y[0])]
        found.append(mlp.forward(step.params, x[0], activation_bits=8))
        found.append(per_record(outputs, y[0], task))
        found.append(margin(outputs, y[0]) if task == "classification" else residual(outputs, y[0]))
    assert {tensor.device.type for tensor in found} == {"meta"}


@pytest.mark.parametrize("task", TASKS)
def test_an_operand_left_on_the_cpu_is_refused(task):
    mlp, params, x, y, _ = on_meta(task)
    with OneDevice(), pytest.raises(RuntimeError, match="operands on"):
        Backprop(mlp, params)(x, y, torch.ones(2, 7))


def test_batches_lie_where_the_records_lie(rng):
    members = halves(records("classification", rng), 2, seed=0)
    like = torch.empty(0, dtype=torch.float32, device="meta")
    for rows, weights in Batches(members, CONFIG, seed=0, first=0, like=like):
        assert (rows.device.type, weights.device.type, weights.dtype) == ("meta", "meta", torch.float32)
