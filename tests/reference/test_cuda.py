"""On a CUDA card everything is what it is on the CPU, but for the rounding of sums; skipped where there is none."""

import numpy as np
import pytest
import torch

from leaq.data.splits import halves
from leaq.data.tables import from_arrays
from leaq.evaluation import evaluate_checkpoints, with_numbers, with_whitebox
from leaq.pipeline import audit
from leaq.pipeline.cell import AuditConfig
from leaq.quantizers import Calibration, build
from leaq.training import TrainingConfig, train, train_modules
from leaq.training.batched import Batches, Core
from leaq.training.steps import Descent
from leaq.types import Checkpoints

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU that torch can use; there is none here"),
]
MODELS = 6


@pytest.fixture
def records(rng):
    x = rng.normal(size=(120, 8))
    samples = from_arrays(x, (x[:, 0] + rng.normal(size=120) > 0).astype(int))
    return samples, halves(samples, MODELS, seed=0)


def config(device, **more):
    return TrainingConfig(hidden=(16,), epochs=4, checkpoints=3, dtype="float64", device=device, **more)


def moved(checkpoints, device):
    params = {name: tensor.to(device) for name, tensor in checkpoints.params.items()}
    return Checkpoints(params, checkpoints.roles, checkpoints.batch, checkpoints.steps)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_both_devices_train_the_same_models(records, optimizer):
    (_, here), (_, there) = (train(*records, config(device, optimizer=optimizer), seed=1) for device in ("cpu", "cuda"))
    for name, tensor in there.params.items():
        assert tensor.is_cuda
        torch.testing.assert_close(tensor.cpu(), here.params[name], rtol=1e-6, atol=1e-8)


def test_both_devices_train_the_same_modules(records):
    def make():
        return torch.nn.Sequential(torch.nn.Linear(8, 6), torch.nn.Tanh(), torch.nn.Linear(6, 2))

    (_, here), (_, there) = (train_modules(make, *records, config(device), seed=1) for device in ("cpu", "cuda"))
    for name, tensor in there.params.items():
        torch.testing.assert_close(tensor.cpu(), here.params[name], rtol=1e-6, atol=1e-8)


def test_no_step_waits_for_the_card(records):
    samples, members = records
    mlp, checkpoints = train(samples, members, config("cuda"), seed=1)
    x, y = torch.tensor(samples.inputs, dtype=torch.float64).cuda(), torch.tensor(samples.targets).cuda()
    core = Core(mlp, {name: tensor[:, -1].clone() for name, tensor in checkpoints.params.items()}, x, config("cuda"))
    steps = Descent([core.backprop.flat], config("cuda"))
    rows, weights = next(iter(Batches(members, config("cuda"), seed=0, first=0, like=x)))
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(3):
            core.gradient(rows, y, weights)
            steps.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("spec", ["sign", "ternary(sparsity=0.5)", "uniform(bits=4)", "nf4", "kmeans(bits=2)"])
def test_quantizers_give_the_same_weights(records, spec):
    _, here = train(*records, config("cpu"), seed=1)
    one, other = build(spec)(here), build(spec)(moved(here, "cuda"))
    for name, tensor in other.params.items():
        torch.testing.assert_close(tensor.cpu(), one.params[name], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("spec", ["gptq(bits=4)", "bias_correction(bits=4)", "equalised(bits=4)"])
def test_calibrated_quantizers_give_nearly_the_same_outputs(records, spec):
    samples, members = records
    mlp, trained = train(samples, members, config("cpu"), seed=1)
    losses = []
    for device in ("cpu", "cuda"):
        released = moved(trained, device).last()
        fitted = build(spec).fitted_to(released, Calibration(mlp, samples.inputs, members))
        losses.append(evaluate_checkpoints(mlp, fitted(released), samples, members).losses)
    assert np.abs(losses[0] - losses[1]).mean() < 0.02 * losses[0].mean()  # a rounding may fall the other way


def test_evaluation_gives_the_same_table(records):
    samples, members = records
    mlp, trained = train(samples, members, config("cpu"), seed=1)
    tables = []
    for device in ("cpu", "cuda"):
        there = moved(trained, device)
        table = with_whitebox(evaluate_checkpoints(mlp, there, samples, members), mlp, there, samples)
        tables.append(with_numbers(table, there, samples))
    for name in ("losses", "scores", "outputs", "whitebox"):
        np.testing.assert_allclose(getattr(tables[1], name), getattr(tables[0], name), rtol=1e-6, atol=1e-8)


def test_a_whole_audit_finds_the_same():
    one, other = (
        audit(AuditConfig(source="wine", quantizers=("sign",), replicates=8, training=config(device)))
        for device in ("cpu", "cuda")
    )
    for mine, theirs in zip(one.rows, other.rows, strict=True):
        assert theirs.attacks["combined"].advantage.value == pytest.approx(
            mine.attacks["combined"].advantage.value, abs=0.02
        )
