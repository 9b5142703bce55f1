"""onnxruntime's integers against its own functions, rows that are unlikely among them."""

import numpy as np
import pytest
import torch

from tests.helpers import require
from tests.unit.quantizers.backends.cases import released, unlikely, weight_of

KINDS = {"int8": "INT8", "uint8": "UINT8", "int4": "INT4", "uint4": "UINT4"}


def by_onnxruntime(weight, kind, *, symmetric, half, channels):
    require("onnxruntime")
    require("onnx")
    from onnx import TensorProto
    from onnxruntime.quantization.quant_utils import quantize_data

    out = []
    for block in weight.numpy() if channels else [weight.numpy()]:
        zero, scale, codes = quantize_data(block.ravel(), getattr(TensorProto, KINDS[kind]), symmetric, half)
        out.append((codes.astype(np.float32) - zero.astype(np.float32)) * scale)
    return torch.from_numpy(np.concatenate(out).reshape(weight.shape))


@pytest.mark.parametrize("half", [False, True], ids=["whole", "half"])
@pytest.mark.parametrize("channels", [False, True], ids=["tensor", "channels"])
@pytest.mark.parametrize("symmetric", [False, True], ids=["asymmetric", "symmetric"])
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_are_those_of_onnxruntime(kind, symmetric, channels, half):
    per = "channel" if channels else "tensor"
    spec = f"onnxruntime.quantize(type={kind}, per={per}, symmetric={symmetric}, half={half})"
    for weight in (weight_of(1), unlikely(1e-39)):
        expected = by_onnxruntime(weight, kind, symmetric=symmetric, half=half, channels=channels)
        torch.testing.assert_close(released(spec, weight), expected, rtol=0, atol=0)


@pytest.mark.parametrize(("kind", "symmetric"), [("int8", True), ("uint8", False), ("int4", True), ("uint4", False)])
def test_types_with_a_sign_have_no_zero_points_by_default(kind, symmetric):
    weight = weight_of(3)
    named = f"onnxruntime.quantize(type={kind}, symmetric={symmetric})"
    assert torch.equal(released(f"onnxruntime.quantize(type={kind})", weight), released(named, weight))
