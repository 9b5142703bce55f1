import numpy as np
import pytest
import torch
from torch import nn

from leaq.models import ModuleModel
from leaq.models.first_order import Steps, first_order, kept_bytes, slopes


class Transposed(nn.Module):
    """What GPT-2 has for a linear layer: weights (in, out)."""

    def __init__(self, inward, outward):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inward, outward))

    def forward(self, x):
        return x @ self.weight


Transposed.__name__ = "Conv1D"


def one_by_one(model, params, x, *, judge, steps):
    """Each record's own derivative by the whole weight, picked at one place: the slow way."""
    found = np.zeros((len(steps.name), len(x)))
    for i in range(len(x)):
        found[:, i] = slopes(model, params, x[i : i + 1], judge=judge, steps=steps)
    return found


@pytest.mark.parametrize(
    ("module", "x"),
    [
        (nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)), torch.randn(7, 3)),
        (nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)), torch.randn(7, 4, 3)),
        (nn.Sequential(nn.Conv2d(2, 3, (3, 2), (2, 1), 1), nn.ReLU(inplace=True)), torch.randn(6, 2, 5, 5)),
        (nn.Sequential(nn.Conv1d(2, 3, 3, dilation=2, padding=2), nn.Tanh()), torch.randn(6, 2, 9)),
        (nn.Sequential(nn.Embedding(6, 4), nn.Tanh(), Transposed(4, 2)), torch.randint(6, (5, 8))),
    ],
)
def test_every_kind_of_layer_agrees_with_the_gradient_of_its_whole_weight(module, x):
    torch.manual_seed(0)
    params = {name: tensor.detach().double() for name, tensor in module.named_parameters()}
    x = x.double() if x.is_floating_point() else x
    rng = np.random.default_rng(0)
    weights = [name for name, tensor in params.items() if tensor.ndim > 1]
    names = tuple(name for name in weights for _ in range(9))
    steps = Steps(names, np.array([rng.integers(params[n].numel()) for n in names]), rng.normal(size=len(names)))

    def judge(outputs):
        return outputs.square().flatten(1).sum(1)

    model = ModuleModel(module)
    losses, changes = first_order(model, params, x, judge=judge, steps=steps)
    np.testing.assert_allclose(
        changes.numpy(), one_by_one(model, params, x, judge=judge, steps=steps), rtol=1e-6, atol=1e-9
    )
    assert losses.shape == (len(x),)
    assert all(parameter.grad is None for parameter in module.parameters())
    assert not any(part._forward_hooks for part in module.modules())
    assert kept_bytes(model, params, x, judge=judge, steps=steps) > 0


def test_layers_of_unknown_kind_are_not_told():
    module = nn.Sequential(nn.Bilinear(2, 2, 1))

    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = module[0]

        def forward(self, x):
            return self.inner(x, x)

    model = ModuleModel(Pair())
    params = {name: tensor.detach() for name, tensor in model.module.named_parameters()}
    steps = Steps(("inner.weight",), np.array([1]), np.array([0.1]))
    with pytest.raises(RuntimeError):  # nothing asks for a gradient
        first_order(model, params, torch.ones(3, 2), judge=lambda out: out[:, 0], steps=steps)
    assert np.isfinite(slopes(model, params, torch.ones(3, 2), judge=lambda out: out[:, 0], steps=steps)).all()
