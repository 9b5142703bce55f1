"""Steps against torch.optim: the same weights to the last digit."""

import pytest
import torch

from leaq.training import TrainingConfig
from leaq.training.steps import Descent


def walked(make, steps=7):
    """Two tensors after some steps down gradients that depend on where they are."""
    generator = torch.Generator().manual_seed(0)
    params = [torch.randn(shape, generator=generator) for shape in ((5, 300), (3,))]
    stepper = make(params)
    for _ in range(steps):
        for param in params:
            param.grad = param.sin() + 0.1 * torch.randn(param.shape, generator=generator)
        stepper.step()
    return params


@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_adam_is_that_of_torch(decay):
    config = TrainingConfig(optimizer="adam", learning_rate=0.01, weight_decay=decay)
    ours = walked(lambda params: Descent(params, config))
    theirs = walked(lambda params: torch.optim.Adam(params, lr=0.01, weight_decay=decay, fused=True))
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("decay", [0.0, 0.01])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_is_that_of_torch(momentum, decay):
    config = TrainingConfig(optimizer="sgd", learning_rate=0.01, weight_decay=decay, momentum=momentum)
    ours = walked(lambda params: Descent(params, config))
    theirs = walked(lambda params: torch.optim.SGD(params, lr=0.01, weight_decay=decay, momentum=momentum))
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    other = walked(lambda params: Descent(params, config), steps=6)
    assert not torch.equal(ours[0], other[0])
