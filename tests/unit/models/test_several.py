"""Losses of several targets with holes, against the losses of each target alone."""

import numpy as np
import pytest
import torch

from leaq.models.losses import margin, per_record
from leaq.models.several import entry_losses, entry_weights, joint_margin, loss_gradient, task_outputs
from leaq.types.tasks import Layout, TaskSpec
from tests.helpers import ROUNDING

TWO = TaskSpec("two", "classification", ("no", "yes"))
THREE = TaskSpec("three", "classification", ("a", "b", "c"))
VALUE = TaskSpec("value", "regression")
LAYOUTS = [Layout((TWO, VALUE)), Layout((VALUE, THREE, TWO)), Layout((THREE, TWO, THREE)), Layout((TWO,))]


def drawn(layout, *, n=40, seed=0):
    rng = np.random.default_rng(seed)
    outputs = torch.tensor(rng.normal(size=(2, n, layout.outputs)) * 4)
    columns = [rng.integers(len(t.classes), size=n) if t.classes else rng.normal(size=n) for t in layout.tasks]
    targets = np.stack(columns, axis=1).astype(float)
    targets[rng.random(targets.shape) < 0.4] = np.nan
    return outputs, torch.tensor(targets)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_loss_of_a_label_is_that_of_its_task_alone(layout):
    outputs, targets = drawn(layout)
    found = entry_losses(outputs, targets, layout)
    for at, task in enumerate(layout.tasks):
        known = ~targets[:, at].isnan()
        own = task_outputs(outputs, layout, at)[:, known]
        labels = targets[known, at].long() if task.classes else targets[known, at]
        kind = "classification" if task.classes else "regression"
        np.testing.assert_allclose(found[:, known, at], per_record(own, labels, kind), **ROUNDING)
        assert not found[:, ~known, at].any()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_written_out_gradient_is_that_of_the_losses(layout):
    outputs, targets = drawn(layout)
    weights = entry_weights(targets.expand(2, -1, -1), torch.rand(2, 40, dtype=torch.float64))
    np.testing.assert_allclose(weights.sum((1, 2)), 1.0, **ROUNDING)
    leaf = outputs.clone().requires_grad_()
    (entry_losses(leaf, targets, layout) * weights).sum().backward()
    np.testing.assert_allclose(loss_gradient(outputs, targets, weights, layout), leaf.grad, **ROUNDING)


def test_the_joint_margin_of_one_task_of_two_classes_is_its_margin():
    z = torch.linspace(-30, 30, 13, dtype=torch.float64)
    labels = torch.ones(13, dtype=torch.long)
    logits = torch.stack([torch.zeros_like(z), z], dim=-1)
    found = joint_margin(entry_losses(z[:, None], labels[:, None].double(), Layout((TWO,)))[:, 0])
    np.testing.assert_allclose(found, margin(logits, labels), rtol=1e-6, atol=1e-8)


def test_losses_beyond_all_numbers_leave_a_finite_margin():
    assert torch.isfinite(joint_margin(torch.tensor([0.0, 1e-320, 1e6], dtype=torch.float64))).all()
