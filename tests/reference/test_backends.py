"""Library backends against the libraries' own dequantized tensors and layers, and their known traps."""

import numpy as np
import pytest
import torch
from torch.nn import Linear

from leaq.errors import MissingExtra, UnsupportedModel
from leaq.quantizers import build
from leaq.quantizers.backends.base import Given
from leaq.quantizers.backends.torchao import TorchaoInt8
from leaq.types import Checkpoints
from tests.helpers import require


def one(weight: torch.Tensor) -> Checkpoints:
    return Checkpoints({"weight": weight[None]}, {"weight": "linear"}, (1,))


def weight_of(seed: int = 0, shape=(6, 64)) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape)).float()


def released(spec: str, weight: torch.Tensor) -> torch.Tensor:
    return build(spec)(one(weight)).params["weight"][0]


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
    assert quantized.activation_bits == 8
    assert torch.equal(quantized.params["weight"][0], layer[0].weight.dequantize())
    mlp = MLP(d=64, k=6, hidden=(), task="classification")
    params = {"layers.0.weight": quantized.params["weight"], "layers.0.bias": torch.zeros(1, 6)}
    params |= {"input.mean": torch.zeros(1, 64), "input.scale": torch.ones(1, 64)}
    exact = x @ quantized.params["weight"][0].T
    ours = (mlp.forward(params, x, activation_bits=8)[0] - exact).square().mean()
    theirs = (layer(x) - exact).square().mean()
    assert 0.8 < ours / theirs < 1.25


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_bitsandbytes_four_bits(kind):
    require("bitsandbytes")
    import bitsandbytes.functional as bnb

    weight = weight_of(2, (5, 33))  # blocks cross rows, the last one is short
    packed, state = bnb.quantize_4bit(weight.reshape(1, -1), blocksize=64, quant_type=kind)
    assert torch.equal(released(f"bitsandbytes.{kind}", weight), bnb.dequantize_4bit(packed, state).reshape(5, 33))


@pytest.mark.parametrize("width", [16, 32, 48, 64])
def test_bitsandbytes_four_bits_of_matrices_narrower_than_a_block(width):
    """Where the library's own dequantization of the matrix is wrong, that of the flattened one is not."""
    require("bitsandbytes")
    weight = weight_of(6, (8, width))
    given = released("bitsandbytes.nf4", weight)
    blocks = weight.reshape(-1, 64)
    table = build("nf4")  # our own: the same levels, and blocks of one row
    ours = released(table.spec(), blocks.reshape(1, -1)).reshape(8, width)
    assert (ours != given).float().mean() < 0.02


def test_bitsandbytes_eight_bits():
    require("bitsandbytes")
    import bitsandbytes.functional as bnb

    weight = weight_of(3, (5, 100))
    codes, state = bnb.quantize_blockwise(weight, blocksize=256)
    assert torch.equal(released("bitsandbytes.blockwise8", weight), bnb.dequantize_blockwise(codes, state))
    rows, largest, _ = bnb.int8_vectorwise_quant(weight)
    assert torch.equal(released("bitsandbytes.int8", weight), bnb.int8_vectorwise_dequant(rows, largest))


def test_our_nf4_is_bitsandbytes_nf4():
    """Same table, same nearest levels; bitsandbytes divides by multiplying with a reciprocal: ties may differ."""
    require("bitsandbytes")
    weight = weight_of(4, (1, 64 * 40))  # one row, so that blocks are the same
    ours, theirs = released("nf4", weight), released("bitsandbytes.nf4", weight)
    assert (ours != theirs).float().mean() < 0.001
    assert released("fp4", weight).unique().numel() != released("bitsandbytes.fp4", weight).unique().numel()


@pytest.mark.parametrize(("bits", "per"), [(2, "channel"), (4, "channel"), (8, "tensor")])
def test_brevitas(bits, per):
    require("brevitas")
    build("brevitas.int_weight(bits=4)").library()
    import brevitas.nn as qnn
    from brevitas.quant import Int8WeightPerChannelFloat, Int8WeightPerTensorFloat

    weight = weight_of(5)
    rule = Int8WeightPerChannelFloat if per == "channel" else Int8WeightPerTensorFloat
    layer = qnn.QuantLinear(64, 6, bias=False, weight_quant=rule, weight_bit_width=bits)
    layer.weight.data = weight.clone()
    own = layer.eval().quant_weight().value.detach()
    assert torch.equal(released(f"brevitas.int_weight(bits={bits}, per={per})", weight), own)


BACKENDS = [
    "torchao.int8_weight_only",
    "torchao.intx_weight_only(bits=3, symmetric=False)",
    "torchao.float8_weight_only(format=e4m3)",
    "bitsandbytes.nf4",
    "bitsandbytes.fp4",
    "bitsandbytes.int8",
    "bitsandbytes.blockwise8",
    "brevitas.int_weight(bits=4)",
]


@pytest.mark.parametrize("spec", BACKENDS)
def test_candidates_are_rounded_as_the_library_rounds(spec):
    """Our nearest codes under the library's scales agree with the library's own codes but for ties."""
    scheme = build(spec)
    require(str(scheme.needs.extra))
    weight = weight_of(6)[None]
    scales = scheme.fit(weight)
    assert (scheme.nearest(weight, scales) != scales["codes"]).float().mean() < 0.01
    moved = weight * 0.97
    ours = scheme.decode(scheme.encode(moved, scales), scales)
    wrong = scheme.decode(scheme.encode(-moved, scales), scales)
    distance = [float((values - moved).square().mean()) for values in (ours, wrong)]
    assert distance[0] < distance[1] / 100


# -- traps ----------------------------------------------------------------------------------------------------------


def test_torchao_one_bit_is_refused():
    require("torchao")
    with pytest.raises(UnsupportedModel, match="The library's output is all zero for a \\(6, 64\\) matrix"):
        released("torchao.intx_weight_only(bits=1)", weight_of())


def test_torchao_group_that_does_not_divide():
    require("torchao")
    with pytest.raises(UnsupportedModel, match="needs a group size that divides the layer's inputs. Found 33 inputs"):
        released("torchao.intx_weight_only(bits=4, per=group)", weight_of(0, (3, 33)))


class Pretends(TorchaoInt8):
    """A library that gives whatever it is told to."""

    def __init__(self, **options):
        super().__init__()
        object.__setattr__(self, "gives", options["gives"])

    def library(self):
        return torch

    def run(self, weight):
        return Given(
            torch.zeros(weight.shape, dtype=torch.uint8), {"step": torch.ones(len(weight), 1)}, self.gives(weight)
        )


@pytest.mark.parametrize(
    ("gives", "found"),
    [
        (torch.zeros_like, "all zero"),
        (lambda w: torch.full_like(w, 0.3), "constant"),
        (torch.clone, "identical to the input"),
        (lambda w: w / 0, "not finite"),
    ],
)
def test_idle_libraries_are_refused(gives, found):
    with pytest.raises(UnsupportedModel, match=f"output is {found}"):
        Pretends(gives=gives)(one(weight_of(0, (2, 600))))


def test_codes_that_are_not_the_librarys_weights_are_refused():
    with pytest.raises(UnsupportedModel, match="codes and scales must give its own dequantized weights"):
        Pretends(gives=lambda w: w.round())(one(weight_of(0, (2, 600))))


def test_a_missing_library_names_its_extra(monkeypatch):
    scheme = build("bitsandbytes.nf4")
    monkeypatch.setattr(type(scheme), "wants", type(scheme.wants)(extra="leaq_not_installed"))
    with pytest.raises(MissingExtra, match=r"pip install 'leaq\[leaq_not_installed\]'"):
        released("bitsandbytes.nf4", weight_of())
