"""Codes and scales against the package's own; its search for a scale is the package's, so only rounding is ours."""

import pytest
import torch

from leaq.errors import UnsupportedModel
from leaq.quantizers import build
from tests.helpers import require
from tests.unit.quantizers.backends.cases import one, released, weight_of

SPEC = "compressed_tensors(bits=4, per=channel)"


@pytest.fixture(autouse=True)
def library():
    require("compressed_tensors")


def test_a_symmetric_scale_is_the_largest_magnitude_over_seven_and_a_half():
    weight = weight_of(1, shape=(5, 32))
    step = weight.abs().amax(1, keepdim=True) / 7.5
    wanted = (weight / step).round().clamp(-8, 7) * step
    torch.testing.assert_close(released(SPEC, weight), wanted)


def test_an_asymmetric_scale_spans_the_weights_and_zero():
    weight = weight_of(2, shape=(4, 48)) + 3
    found = released("compressed_tensors(bits=8, per=channel, symmetric=False)", weight)
    step = weight.amax(1, keepdim=True).clamp_min(0) / 255  # all weights are positive, so that the range begins at 0
    assert ((found - weight).abs() <= step * 0.51).all()
    scales = build("compressed_tensors(bits=8, per=channel, symmetric=False)").codes(one(weight))["weight"][1]
    assert {"step", "zero"} <= scales.keys()


def test_groups_have_scales_of_their_own_and_must_divide_the_inputs():
    weight = weight_of(3, shape=(3, 64)) * torch.tensor([1.0, 100.0]).repeat_interleave(32)
    found = released("compressed_tensors(bits=4, per=group, group=32)", weight)
    for start in (0, 32):
        part = weight[:, start : start + 32]
        step = part.abs().amax(1, keepdim=True) / 7.5
        torch.testing.assert_close(found[:, start : start + 32], (part / step).round().clamp(-8, 7) * step)
    with pytest.raises(UnsupportedModel, match="Found 64 inputs and groups of 48. Use per=channel"):
        released("compressed_tensors(bits=4, per=group, group=48)", weight)


def test_other_candidates_get_the_nearest_codes_under_the_released_scales():
    weight = weight_of(4, shape=(3, 16))
    fitted = build(SPEC).fitted_to(one(weight))
    other = weight + 0.05 * weight_of(5, shape=(3, 16))
    step = weight.abs().amax(1, keepdim=True) / 7.5
    found = fitted(one(other)).params["weight"][0]
    torch.testing.assert_close(found, (other / step).round().clamp(-8, 7) * step)
