"""What calibrated quantizers see of any module: the same as of the perceptron, the truth for convolutions."""

import numpy as np
import pytest
import torch
from torch import nn

from leaq.errors import UnsupportedModel
from leaq.models import ModuleModel, checkpoints_of
from leaq.quantizers import Calibration, build
from leaq.training.mlp import MLP
from leaq.types import Checkpoints
from tests.unit.models.test_modules import Encoder, Tied

SPECS = ["gptq(bits=3)", "adaround(bits=3)"]


def calibration(model, x):
    return Calibration(model, x.numpy(), np.ones((1, len(x)), bool))


@pytest.mark.parametrize("spec", SPECS)
def test_a_perceptron_as_a_module_is_quantized_as_the_perceptron_is(spec):
    mlp = MLP(d=6, k=3, hidden=(16, 8), task="classification")
    params = mlp.init(0, [0])
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(90, 2)) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(90, 6))
    x = torch.from_numpy(mixed.astype(np.float32))
    wanted = build(spec)(Checkpoints(params, mlp.roles, (1,)), calibration(mlp, x)).params
    module = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))
    names = {"0": "layers.0", "2": "layers.1", "4": "layers.2"}
    module.load_state_dict({f"{k}.{p}": params[f"{v}.{p}"][0] for k, v in names.items() for p in ("weight", "bias")})
    found = build(spec)(checkpoints_of(module), calibration(ModuleModel(module), x)).params
    for mine, its in names.items():
        torch.testing.assert_close(found[f"{mine}.weight"], wanted[f"{its}.weight"])
    nearest = build("uniform(bits=3)")(checkpoints_of(module)).params
    assert any(
        not torch.equal(nearest[f"{name}.weight"], found[f"{name}.weight"]) for name in names
    )  # so that equality says something


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(2, 5, 3, stride=2, padding=1, dilation=2), (4, 2, 9, 8)),
        (nn.Conv2d(3, 4, (1, 3)), (4, 3, 5, 6)),
        (nn.Conv1d(3, 4, 4, stride=3, padding=2), (4, 3, 11)),
        (nn.Linear(5, 3), (4, 7, 5)),
    ],
)
def test_vectors_times_weight_is_what_the_layer_does(layer, shape):
    x = torch.randn(shape)
    seen = ModuleModel(layer).layer_inputs(checkpoints_of(layer).params, x.unsqueeze(0), torch.ones(1, len(x)))[
        "weight"
    ][0][0]
    found = seen @ layer.weight.detach().flatten(1).T + layer.bias.detach()  # (records * positions, out)
    wanted = layer(x).detach()
    wanted = wanted.flatten(2).transpose(1, 2) if isinstance(layer, nn.Conv1d | nn.Conv2d) else wanted
    torch.testing.assert_close(found, wanted.reshape(found.shape), rtol=1e-4, atol=1e-5)


def networks():
    torch.manual_seed(0)
    convolution = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 16, 3))
    return {
        "convolution": (convolution, torch.randn(60, 1, 6, 6), set()),
        "transformer": (Encoder(), torch.randn(60, 4, 8), {"body.layers.0.self_attn"}),
    }


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("kind", ["convolution", "transformer"])
def test_outputs_are_nearer_than_with_nearest_rounding(kind, spec):
    module, x, _ = networks()[kind]
    given, model = checkpoints_of(module), ModuleModel(module)
    exact = model.forward(given.params, x)
    errors = [
        float((model.forward(params, x) - exact).square().mean())
        for params in (build(spec)(given, calibration(model, x)).params, build("uniform(bits=3)")(given).params)
    ]
    assert errors[0] < errors[1]


@pytest.mark.parametrize("kind", ["convolution", "transformer"])
def test_every_layer_that_can_be_seen_is(kind):
    module, x, hidden = networks()[kind]
    given = checkpoints_of(module)
    seen = ModuleModel(module).layer_inputs(given.params, x.unsqueeze(0), torch.ones(1, len(x)))
    weights = {name for name, role in given.roles.items() if role in ("linear", "conv2d")}
    rest = weights - set(seen)
    assert {name.rsplit(".", 1)[0].removesuffix(".out_proj") for name in rest} == hidden
    assert not any(part._forward_pre_hooks for part in module.modules())


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return self.layer(torch.relu(self.layer(x)))


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(self.first(x))


def test_a_layer_that_is_called_twice_has_met_the_vectors_of_both_calls():
    module, x = Twice(), torch.randn(2, 3, 4)
    seen, shares = ModuleModel(module).layer_inputs(several(module, 2), x, torch.ones(2, 3))["layer.weight"]
    wanted = torch.cat([x, torch.relu(module.layer(x)).detach()], dim=1)
    torch.testing.assert_close(seen, wanted)
    assert shares.tolist() == [[1] * 6] * 2


class Sizes(nn.Module):
    """A record is as many vectors as its first number says: what a graph network makes of molecules."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 1)

    def forward(self, x):
        return torch.stack([self.layer(one[1:].expand(int(one[0]), -1)).sum(0) for one in x])


def test_models_that_meet_unequally_many_vectors_are_padded_and_records_of_no_share_are_not_met():
    module = Sizes()
    x = torch.tensor([[[1.0, 1, 1, 1, 1], [2, 2, 2, 2, 2]], [[3, 3, 3, 3, 3], [1, 4, 4, 4, 4]]])
    model, params = ModuleModel(module), several(module, 2)
    seen, shares = model.layer_inputs(params, x, torch.ones(2, 2))["layer.weight"]
    assert seen[..., 0].tolist() == [[1, 2, 2, 0], [3, 3, 3, 4]]
    assert shares.tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    seen, shares = model.layer_inputs(params, x, torch.tensor([[1.0, 1], [1, 0]]))["layer.weight"]
    assert seen[..., 0].tolist() == [[1, 2, 2], [3, 3, 3]]
    assert shares.tolist() == [[1] * 3] * 2


def several(module, count):
    """The module's weights, stacked as often as said."""
    return {name: tensor.expand(count, *tensor.shape[1:]) for name, tensor in checkpoints_of(module).params.items()}


@pytest.mark.parametrize(
    ("module", "x", "why"),
    [
        (Pair(), torch.zeros(1, 3, 4), "'first.weight' is tied to another weight"),
        (Tied(), torch.zeros(1, 3, 2, dtype=torch.int64), "'head.weight' is tied to another weight"),
    ],
)
def test_tied_weights_are_refused(module, x, why):
    with pytest.raises(UnsupportedModel, match=f"must meet one kind of inputs. {why}. Use a quantizer without"):
        ModuleModel(module).layer_inputs(checkpoints_of(module).params, x, torch.ones(1, 3))
    assert not any(part._forward_pre_hooks for part in module.modules())
