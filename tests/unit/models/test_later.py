"""Weights that are worked out when they are needed run as the tensors they stand for, and cannot be written."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import embedding, linear

from leaq.errors import UnsupportedModel
from leaq.models.calling import call, exchange
from leaq.models.later import Later
from leaq.types.later import at_hand, is_later


class Counted:
    def __init__(self, value):
        self.value, self.made = value, 0

    def __call__(self):
        self.made += 1
        return self.value


@pytest.fixture
def pair():
    torch.manual_seed(0)
    source = Counted(torch.randn(4, 3))
    return source, Later((4, 3), source)


def test_operations_work_it_out_once_each_and_views_not_at_all(pair):
    source, later = pair
    x = torch.randn(2, 3)
    views = later.T, later[1:], later.unsqueeze(0)[0].reshape(2, 6)[1], later.detach()
    assert source.made == 0
    assert all(is_later(one) for one in views)
    assert torch.equal(linear(x, later), linear(x, source.value))
    assert source.made == 1
    for one, other in zip(views, (source.value.T, source.value[1:], source.value.reshape(2, 6)[1]), strict=False):
        assert one.shape == other.shape
        assert torch.equal(at_hand(one), other)
        assert torch.equal(one + 0, other)
    assert torch.equal(embedding(torch.tensor([3, 0]), later), source.value[[3, 0]])
    assert later.tolist() == source.value.tolist()
    assert (later.numpy() == source.value.numpy()).all()


def test_gradients_flow_through_it_and_to_it(pair):
    source, later = pair
    x = torch.randn(2, 3, requires_grad=True)
    linear(x, later).square().sum().backward()
    expected = torch.autograd.grad(linear(x, source.value).square().sum(), x)[0]
    torch.testing.assert_close(x.grad, expected)
    leaf, own = Later((4, 3), source).requires_grad_(), source.value.clone().requires_grad_()
    found = torch.autograd.grad(linear(x.detach(), leaf).square().sum(), leaf)[0]
    torch.testing.assert_close(found, torch.autograd.grad(linear(x.detach(), own).square().sum(), own)[0])


@pytest.mark.parametrize(
    "write", [lambda t: t.mul_(2), lambda t: t.data.__setitem__(0, 1.0), nn.init.zeros_, lambda t: t[0].add_(1)]
)
def test_writing_it_is_refused(pair, write):
    source, later = pair
    before = source.value.clone()
    with torch.no_grad(), pytest.raises(UnsupportedModel, match="must not change its own weights when it runs"):
        write(later)
    assert torch.equal(source.value, before)


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)

    def forward(self, x):
        return self.inner(x.unflatten(1, (2, 8))).flatten(1)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.LSTM(8, 5, batch_first=True)

    def forward(self, x):
        return self.inner(x.unflatten(1, (2, 8)))[0][:, -1]


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(16, 16, bias=False), nn.Linear(16, 16, bias=False)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(self.first(x).relu())


def convolving():
    return nn.Sequential(nn.Unflatten(1, (1, 4, 4)), nn.Conv2d(1, 3, 2), nn.Flatten(), nn.Linear(27, 2))


def normed():
    return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(16, 4)), nn.Linear(4, 2))


@pytest.mark.parametrize("build", [Attending, Recurrent, Tied, convolving, normed])
@pytest.mark.filterwarnings("ignore")
def test_layers_of_every_kind_run_on_it(build):
    torch.manual_seed(0)
    module, x = build().eval(), torch.randn(3, 16)
    with torch.no_grad():
        expected = module(x)
        for name, tensor in list(module.named_parameters()):
            exchange(module, name, Later(tuple(tensor.shape), Counted(tensor.detach().clone())))
        assert all(is_later(tensor) for tensor in module.parameters())
        torch.testing.assert_close(module(x), expected)
        again = {name: Later(tuple(t.shape), Counted(at_hand(t))) for name, t in module.named_parameters()}
        torch.testing.assert_close(call(module, again, x), expected)
        torch.testing.assert_close(copy.deepcopy(module).float()(x), expected)
