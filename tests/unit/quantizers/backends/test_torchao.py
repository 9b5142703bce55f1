import pytest
import torch
from torch.nn import Linear

from leaq.errors import UnsupportedModel
from leaq.quantizers import build
from leaq.types import Activations
from tests.helpers import require
from tests.unit.quantizers.backends.cases import one, released, weight_of


def own_torchao(config, weight: torch.Tensor) -> torch.Tensor:
    from torchao.quantization import quantize_

    layer = Linear(weight.shape[1], weight.shape[0], bias=False)
    layer.weight = torch.nn.Parameter(weight.clone())
    holder = torch.nn.Sequential(layer)
    quantize_(holder, config)
    return holder


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("group", [None, 32])
def test_torchao_integers(bits, group):
    require("torchao")
    build("torchao.int8_weight_only").library()
    from torchao.quantization import IntxWeightOnlyConfig
    from torchao.quantization.granularity import PerAxis, PerGroup

    weight = weight_of(bits)
    granularity = PerAxis(0) if group is None else PerGroup(group)
    own = own_torchao(IntxWeightOnlyConfig(getattr(torch, f"int{bits}"), granularity), weight)[0].weight.dequantize()
    spec = f"torchao.intx_weight_only(bits={bits}{'' if group is None else ', per=group'})"
    assert torch.equal(released(spec, weight), own)
    assert not torch.equal(released(spec, weight), weight)


@pytest.mark.parametrize("kind", ["e4m3", "e5m2"])
def test_torchao_float8(kind):
    require("torchao")
    build("torchao.int8_weight_only").library()
    from torchao.quantization import Float8WeightOnlyConfig

    config = Float8WeightOnlyConfig(weight_dtype={"e4m3": torch.float8_e4m3fn, "e5m2": torch.float8_e5m2}[kind])
    own = own_torchao(config, weight_of())[0].weight.dequantize()
    assert torch.equal(released(f"torchao.float8_weight_only(format={kind})", weight_of()), own)


def test_torchao_dynamic_activations_lose_as_much_as_torchaos():
    """Weights bit for bit. Activations are rounded to 127 steps where torchao has 127.5: errors of the same size."""
    require("torchao")
    build("torchao.int8_weight_only").library()
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig

    from leaq.training import MLP

    weight, x = weight_of(), weight_of(1, (200, 64))
    layer = own_torchao(Int8DynamicActivationInt8WeightConfig(), weight)
    quantized = build("torchao.int8_dynamic_activation_int8_weight")(one(weight))
    assert quantized.activations == Activations(8)
    assert torch.equal(quantized.params["weight"][0], layer[0].weight.dequantize())
    mlp = MLP(d=64, k=6, hidden=(), task="classification")
    params = {"layers.0.weight": quantized.params["weight"], "layers.0.bias": torch.zeros(1, 6)}
    params |= {"input.mean": torch.zeros(1, 64), "input.scale": torch.ones(1, 64)}
    exact = x @ quantized.params["weight"][0].T
    ours = (mlp.forward(params, x, activations=Activations(8))[0] - exact).square().mean()
    theirs = (layer(x) - exact).square().mean()
    assert 0.8 < ours / theirs < 1.25


def test_torchao_one_bit_is_refused():
    require("torchao")
    with pytest.raises(UnsupportedModel, match="The library's output is all zero for a \\(6, 64\\) matrix"):
        released("torchao.intx_weight_only(bits=1)", weight_of())


def test_torchao_group_that_does_not_divide():
    require("torchao")
    with pytest.raises(UnsupportedModel, match="needs a group size that divides the layer's inputs. Found 33 inputs"):
        released("torchao.intx_weight_only(bits=4, per=group)", weight_of(0, (3, 33)))
