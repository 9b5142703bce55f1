"""NNCF's arithmetic against a slow twin, number by number; its own files are in tests/unit/models/formats."""

import numpy as np
import pytest
import torch

from leaq.errors import LeaqError
from leaq.quantizers import build
from leaq.types import Checkpoints
from tests.unit.quantizers.backends.cases import one, released, unlikely, weight_of

SPECS = [
    "nncf(bits=8)", "nncf(bits=8, symmetric=False)", "nncf(bits=4, per=group, group=16)",
    "nncf(bits=4, per=group, group=32, symmetric=False)", "nncf(bits=3)", "nncf(bits=2, per=group, group=16)",
]  # fmt: skip


def by_hand(spec, weight):
    """What NNCF's source says, a block at a time."""
    scheme, single = build(spec), np.float32
    size = scheme.group if scheme.per == "group" else weight.shape[1]
    out, low, high = [], -(2 ** (scheme.bits - 1)), 2 ** (scheme.bits - 1) - 1
    for block in weight.numpy().reshape(-1, size):
        least, most = block.min(), block.max()
        if scheme.symmetric:
            scale = single(abs(least) if abs(least) >= most else -most) / single(-low)
        else:
            least, most = min(single(0), least), max(single(0), most)
            scale = (most - least) / single(2**scheme.bits - 1)
        scale = np.finfo(single).eps if abs(scale) < np.finfo(single).eps else scale
        zero = 0 if scheme.symmetric else np.clip(-np.round(least / scale), 0, 2**scheme.bits - 1)
        limits = (low, high) if scheme.symmetric else (0, 2**scheme.bits - 1)
        codes = [np.clip(np.round(number / scale + single(zero)), *limits) for number in block]
        out.append([np.float16(code - zero) * np.float16(scale) for code in codes])
    return torch.from_numpy(np.array(out, dtype=np.float32).reshape(weight.shape))


def levels_by_hand(weight, *, half=False, tensor=False):
    """What NNCF and OpenVINO's reference of FakeQuantize do, a number at a time."""
    single = np.float32
    tops = [single(np.abs(row).max()) for row in weight.numpy()]
    tops = [max(tops)] * len(tops) if tensor else tops
    least = max(max(tops) * single(0.01), single(8e-5))
    out = []
    for row, top in zip(weight.numpy(), tops, strict=True):
        high = max(top, least) * single(2 if half else 1)
        codes = [np.rint((number + high) / (high + high) * single(254)) - 127 for number in row]
        out.append([single(code) * (high / single(127)) for code in codes])
    return torch.from_numpy(np.array(out, dtype=single))


@pytest.mark.parametrize("options", [{}, {"half": True}, {"per": "tensor"}, {"half": True, "per": "tensor"}], ids=str)
def test_levels_of_a_range_are_those_of_the_slow_twin(options):
    spec = f"nncf.quantize({', '.join(f'{key}={value}' for key, value in options.items())})"
    expected = {"half": options.get("half", False), "tensor": "per" in options}
    for weight in (weight_of(1), unlikely(1e-6)):
        torch.testing.assert_close(released(spec, weight), levels_by_hand(weight, **expected), rtol=0, atol=0)


def test_ties_fall_as_counted_from_the_lowest_level():
    top = 127 * 2**-8
    weight = torch.tensor([[top, 0.5 * 2**-8, 1.5 * 2**-8, -0.5 * 2**-8]])
    codes, scales = build("nncf.quantize").codes(one(weight))["weight"]
    assert (codes[0].int() - 127).tolist() == [[127, 1, 1, -1]]
    assert float(scales["step"]) == top


def test_short_floats_take_the_nearest_level_and_of_two_the_even_one():
    row = torch.tensor([[6.0, 5.0, 2.5, 0.25, 0.75, -5.0, -0.25, 3.4]])
    _, scales = build("nncf.float(format=f4e2m1, per=channel)").codes(one(row))["weight"]
    assert scales["step"].tolist() == [[1.0]]
    assert released("nncf.float(format=f4e2m1, per=channel)", row).tolist() == [[6, 4, 2, 0, 1, -4, 0, 3]]
    powers = released("nncf.float(format=f4e2m1, per=channel, powers=True)", row * 1.01)
    assert powers.tolist() == [[6, 6, 3, 0, 1, -6, 0, 3]]  # the scale is 2
    eight = released("nncf.float(format=f8e4m3, per=channel)", torch.tensor([[448.0, 367.9999, 17.0, -1.0]]))
    assert eight.tolist() == [[448, 384, 16, -1]]  # 368 in 16 bits, between 352 and 384


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("weight", [weight_of(1), unlikely(1e-6)], ids=["usual", "unlikely"])
def test_codes_and_scales_are_those_of_the_slow_twin(spec, weight):
    torch.testing.assert_close(released(spec, weight), by_hand(spec, weight), rtol=0, atol=0)


def test_the_number_of_largest_magnitude_has_the_lowest_code_whatever_its_sign():
    for sign in (-1.0, 1.0):
        weight = torch.tensor([[8.0, -6.9, 1.0, 3.2]]) * sign
        codes, scales = build("nncf(bits=4)").codes(one(weight))["weight"]
        assert codes[0].tolist() == [[0, 15, 7, 5]]
        assert float(scales["step"]) == -sign


def test_groups_must_divide_the_inputs():
    with pytest.raises(LeaqError, match=r"NNCF needs a group size .* 64 inputs and groups of 48. Use per=channel"):
        released("nncf(bits=4, per=group, group=48)", weight_of())


def test_convolutions_keep_eight_bits_with_zero_points():
    torch.manual_seed(0)
    params = {"c.weight": torch.randn(1, 6, 3, 5), "l.weight": torch.randn(1, 6, 16)}
    both = Checkpoints(params, {"c.weight": "conv1d", "l.weight": "linear"}, (1,))
    made = build("nncf(bits=4, per=group, group=16)")(both).params
    flat = params["c.weight"][0].flatten(1)
    assert torch.equal(made["c.weight"][0].flatten(1), by_hand("nncf(bits=8, symmetric=False)", flat))
    assert torch.equal(made["l.weight"][0], by_hand("nncf(bits=4)", params["l.weight"][0]))


def test_zero_points_of_fewer_than_four_bits_are_refused():
    with pytest.raises(LeaqError, match="NNCF has zero points for 4 and 8 bits only"):
        build("nncf(bits=2, symmetric=False)")


def test_weights_beyond_sixteen_bits_are_refused():
    with pytest.raises(LeaqError, match="not finite"):
        released("nncf(bits=8)", weight_of() * 1e6)
