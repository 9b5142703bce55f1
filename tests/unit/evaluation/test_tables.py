"""Batched evaluation against one model, one candidate, one record at a time."""

import numpy as np
import pytest
import torch

from leaq.data.splits import halves
from leaq.data.tables import from_arrays
from leaq.errors import InvalidInput, UnsupportedModel
from leaq.evaluation import evaluate_checkpoints, tables, with_whitebox
from leaq.quantizers import parse_list
from leaq.training import TrainingConfig, train

TASKS = ["classification", "regression"]


def case(task, rng, n=30, models=3):
    x = rng.normal(size=(n, 4)) * [1, 5, 1, 1] + 2
    y = rng.permutation(np.arange(n) % 3) if task == "classification" else rng.normal(size=n) * 3 + 1
    samples = from_arrays(x, y)
    members = halves(samples, models, seed=0)
    config = TrainingConfig(hidden=(6, 5), epochs=3, checkpoints=3, dtype="float64", learning_rate=0.02)
    return samples, members, *train(samples, members, config, seed=0)


def by_hand(params, x, task, depth=3):
    """Outputs and the leaves autograd needs, of one candidate on one record."""
    leaves = {f"layers.{i}.weight": params[f"layers.{i}.weight"].clone().requires_grad_() for i in range(depth)}
    h = (x - params["input.mean"]) / params["input.scale"]
    for i in range(depth):
        h = leaves[f"layers.{i}.weight"] @ h + params[f"layers.{i}.bias"]
        h = torch.relu(h) if i < depth - 1 else h
    scaled = h * params["output.scale"] + params["output.mean"] if task == "regression" else h
    return h, scaled, list(leaves.values())


@pytest.mark.parametrize("budget", [2**25, 40])
@pytest.mark.parametrize("task", TASKS)
def test_losses_and_outputs_of_every_candidate(task, budget, rng, monkeypatch):
    monkeypatch.setattr(tables, "ACTIVATIONS", budget)
    samples, members, model, checkpoints = case(task, rng)
    table = evaluate_checkpoints(model, checkpoints, samples, members)
    spread = np.std(samples.targets)
    for s in range(3):
        for c in range(3):
            params = {name: tensor[s, c] for name, tensor in checkpoints.params.items()}
            for i in range(len(samples)):
                _, out, _ = by_hand(params, torch.tensor(samples.inputs[i]), task)
                if task == "classification":
                    loss = -torch.log_softmax(out, 0)[samples.targets[i]]
                else:
                    loss = ((samples.targets[i] - out[0]) / spread) ** 2
                np.testing.assert_allclose(table.losses[s, c, i], loss.detach(), rtol=1e-9, atol=1e-12)
                if c == 2:
                    np.testing.assert_allclose(table.outputs[s, i], out.detach(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("task", TASKS)
def test_white_box_statistic_against_autograd(task, rng):
    samples, members, model, checkpoints = case(task, rng)
    quantized = parse_list("uniform(bits=4)")[0](checkpoints)
    table = with_whitebox(evaluate_checkpoints(model, quantized, samples, members), model, quantized, samples)
    for s in range(3):
        params = {name: tensor[s, -1] for name, tensor in quantized.params.items()}
        gradients = [[] for _ in range(4)]  # of all layers, and of each of the three
        for i in range(len(samples)):
            raw, _, leaves = by_hand(params, torch.tensor(samples.inputs[i]), task)
            if task == "classification":
                loss = -torch.log_softmax(raw, 0)[samples.targets[i]]
            else:
                loss = (raw[0] - (samples.targets[i] - params["output.mean"][0]) / params["output.scale"][0]) ** 2
            by_layer = [g.flatten() for g in torch.autograd.grad(loss, leaves)]
            for kept, one in zip(gradients, (torch.cat(by_layer), *by_layer), strict=True):
                kept.append(one)
        stacked = [torch.stack(kept) for kept in gradients]
        whole, *groups = [(g * (g.sum(0) - g)).sum(1) / g.norm(dim=1).clamp_min(1e-300) for g in stacked]
        norm = stacked[0].norm(dim=1)
        expected = torch.stack([whole, norm.clamp_min(norm[norm > 0].min()).log(), *groups], dim=1)
        np.testing.assert_allclose(table.whitebox[s], expected, rtol=1e-8, atol=1e-9)


def test_a_record_that_reaches_no_unit_is_no_outlier(rng):
    """Its gradient is exactly 0: the model's smallest other one stands for it, however few are looked at at once."""
    samples, members, model, checkpoints = case("classification", rng)
    weight = checkpoints.params["layers.0.weight"].abs()
    weight[..., 1:] = 0.0  # the first input alone, and only where it is above its mean
    biases = {name: torch.zeros_like(checkpoints.params[name]) for name in ("layers.0.bias", "layers.1.bias")}
    cut = checkpoints.replace({"layers.0.weight": weight, **biases})
    dead = samples.inputs[:, 0] < samples.inputs[:, 0].mean()
    size = with_whitebox(evaluate_checkpoints(model, cut, samples, members), model, cut, samples).whitebox[:, :, 1]
    for row in size:
        assert len(set(row[dead])) == 1
        assert row[dead][0] == row[~dead].min() < row[~dead].max()
    x, y = (torch.tensor(values) for values in (samples.inputs, samples.targets))
    few = model.gradient_signals(cut.last().params, x, y, rows=4)
    np.testing.assert_allclose(few[:, :, 1], size, rtol=1e-9)


def test_the_comparison_catches_a_lost_bias(rng, monkeypatch):
    samples, members, model, checkpoints = case("classification", rng)
    before = evaluate_checkpoints(model, checkpoints, samples, members).losses
    broken = checkpoints.replace({"layers.2.bias": torch.zeros_like(checkpoints.params["layers.2.bias"])})
    assert np.abs(evaluate_checkpoints(model, broken, samples, members).losses - before).max() > 1e-4


def test_not_finite_outputs_name_model_and_candidate(rng):
    samples, members, model, checkpoints = case("classification", rng)
    bias = checkpoints.params["layers.2.bias"].clone()
    bias[1, 2] = torch.nan
    with pytest.raises(InvalidInput, match="Model 1, candidate 2 under none gives NaN"):
        evaluate_checkpoints(model, checkpoints.replace({"layers.2.bias": bias}), samples, members)


def test_members_of_other_records_are_refused(rng):
    samples, members, model, checkpoints = case("classification", rng)
    with pytest.raises(InvalidInput, match=r"members must have shape \(3, 30\). Found \(3, 29\)"):
        evaluate_checkpoints(model, checkpoints, samples, members[:, 1:])


def test_white_box_needs_a_model_that_can(rng):
    samples, members, model, checkpoints = case("classification", rng)
    table = evaluate_checkpoints(model, checkpoints, samples, members)
    with pytest.raises(UnsupportedModel, match=r"needs a model with gradient_signals\(\). Found object"):
        with_whitebox(table, object(), checkpoints, samples)
