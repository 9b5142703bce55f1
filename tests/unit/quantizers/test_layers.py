"""Which layers are quantized, biases, activations, sizes: the options every scheme has."""

import pytest
import torch

from leaq.errors import InvalidInput
from leaq.quantizers import Identity, Uniform, build, pack, unpack
from leaq.training import MLP
from leaq.types import Checkpoints

MODEL = MLP(d=6, k=1, hidden=(5, 4), task="regression")


def model(seed: int = 0) -> Checkpoints:
    return Checkpoints(MODEL.init(seed, [0, 1]), MODEL.roles, (2,))


def distinct(checkpoints: Checkpoints, layer: int) -> int:
    return checkpoints.params[f"layers.{layer}.weight"][0].unique().numel()


def test_default_quantizes_every_layer_and_nothing_else():
    before, after = model(), build("sign")(model())
    assert [distinct(after, layer) for layer in range(3)] == [2, 2, 2]
    for name, role in MODEL.roles.items():
        assert torch.equal(after.params[name], before.params[name]) == (role != "linear")


def test_decoupled_last_layer_has_eight_bits():
    after = build("sign(last=int8)")(model())
    assert [distinct(after, layer) for layer in range(3)] == [2, 2, 4]
    eight = Uniform(bits=8)(model())
    assert torch.equal(after.params["layers.2.weight"], eight.params["layers.2.weight"])


def test_first_layer_in_full_precision():
    after = build("sign(first=full)")(model())
    assert torch.equal(after.params["layers.0.weight"], model().params["layers.0.weight"])
    assert distinct(after, 1) == 2


def test_nothing_left_is_refused():
    one = Checkpoints({"w": torch.ones(1, 2, 2)}, {"w": "linear"}, (1,))
    with pytest.raises(InvalidInput, match="1 weights in all, none left after first=full, last=same"):
        build("sign(first=full)")(one)


def test_no_weights_is_refused():
    only = Checkpoints({"scale": torch.ones(1, 2)}, {"scale": "norm"}, (1,))
    with pytest.raises(InvalidInput, match="must have a conv1d, conv2d, embedding, linear weight to quantize. Found 0"):
        build("uniform(bits=4)")(only)


def test_biases_in_half_precision():
    before, after = model(), build("uniform(bits=4, bias=float16)")(model())
    bias = before.params["layers.0.bias"]
    assert torch.equal(after.params["layers.0.bias"], bias.half().float())
    assert not torch.equal(after.params["layers.0.bias"], bias)


def test_activations_are_rounded_by_evaluation():
    assert build("uniform(bits=8, activations=8)")(model()).activation_bits == 8
    assert build("uniform(bits=8)")(model()).activation_bits is None


def test_label_and_description_name_the_options():
    scheme = build("ternary(sparsity=0.9, last=int8, bias=float16, activations=8)")
    assert scheme.label() == "ternary 90% sparse, last layer 8-bit, bias float16, 8-bit activations"
    assert scheme.describe().endswith(
        "The last layer is rounded to 8 bits per channel. Biases become float16. "
        "Each layer's input is rounded to 8 bits, record by record."
    )


def test_sparse_ternary_costs_less_in_entropy_than_packed():
    big = MLP(d=200, k=2, hidden=(100,), task="classification")
    stack = Checkpoints(big.init(0, [0]), big.roles, (1,))
    bits = build("ternary(sparsity=0.9)").bits_per_weight(stack)
    assert bits.packed == pytest.approx(1.6, abs=0.01)
    assert bits.entropy == pytest.approx(0.569, abs=0.01)  # -0.9 log2 0.9 - 0.1 log2 0.05, and the scale


def test_layers_in_full_precision_count_with_their_bits():
    weights, last = 6 * 5 + 5 * 4 + 4, 4
    expected = (8 * ((weights - last) / 2) + 2 * 32 + 32 * last) / weights  # codes, two scales, the last layer
    assert build("uniform(bits=4, per=tensor, last=full)").bits_per_weight(model()).packed == pytest.approx(expected)


def test_full_precision_weighs_itself(tmp_path):
    size = pack(model(), Identity(), tmp_path / "m.safetensors")
    assert (size.bits, size.compression) == (32.0, 1.0)
    read, spec = unpack(tmp_path / "m.safetensors")
    assert spec == "none"
    assert all(torch.equal(read.params[name], model().params[name]) for name in MODEL.roles)
