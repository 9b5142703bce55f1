"""Steps against torch.optim: the same weights to the last digit."""

import pytest
import torch

from leaq.training import TrainingConfig
from leaq.training.steps import Descent, StackRecorder


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


@pytest.mark.parametrize(("total", "keep", "steps"), [(10, 5, (2, 4, 6, 8, 10)), (7, 3, (3, 5, 7)), (2, 9, (1, 2))])
def test_steps_are_equally_spaced_and_end_with_the_last(total, keep, steps):
    recorder = StackRecorder({"w": "linear"}, total=total, keep=keep)
    assert recorder.steps == steps
    assert [step in recorder for step in (0, total)] == [False, True]


def test_weights_are_copied_as_they_were_after_the_chosen_steps():
    recorder = StackRecorder({"w": "linear", "b": "bias"}, total=4, keep=2)
    weights = {"w": torch.zeros(3, 2, 2), "b": torch.zeros(3, 2), "unrecorded": torch.zeros(1)}
    for step in range(1, 5):
        for tensor in weights.values():
            tensor.add_(1)
        recorder.record(step, weights)
    found = recorder.checkpoints()
    assert (found.batch, found.steps, set(found.params)) == ((3, 2), (2, 4), {"w", "b"})
    assert found.params["w"][:, 0].unique().tolist() == [2]
    assert found.last().params["b"].unique().tolist() == [4]


def test_a_gradient_may_lie_otherwise_than_its_weights():
    """Products with transposed weights leave transposed gradients."""
    config = TrainingConfig(optimizer="adam", learning_rate=0.01)
    gradient = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    found = []
    for given in (gradient, gradient.T.contiguous().T):
        param = torch.zeros(3, 4)
        param.grad = given
        Descent([param], config).step()
        found.append(param)
    assert torch.equal(*found)
