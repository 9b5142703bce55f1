"""Weights of an ONNX file, quantized ones dequantized, under the names of the original model's parameters.

Post-training quantizers store a weight ``w`` as the initializers ``w_quantized``, ``w_scale`` and ``w_zero_point``
(onnxruntime's naming, with DequantizeLinear or integer operators alike); real weight = (code - zero point) * scale.
Source: ONNX operator DequantizeLinear, opset 21: https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from leaq.errors import InvalidInput, StoreError, need
from leaq.models.roles import tensors_of

__all__ = ["read_onnx"]


def read_onnx(path: Path, original: nn.Module) -> tuple[dict[str, Tensor], int]:
    """Return the weights of an ONNX file by the original's parameter names, and the bytes they take there.

    Raises
    ------
    InvalidInput
        If a parameter of the original has no weight of that name and shape in the file.
    StoreError
        If the file is missing or no ONNX file.
    """
    onnx = need("onnx", extra="onnx", purpose="Reading an ONNX file")
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as err:  # whatever the protobuf reader raises for bytes that are no model
        raise StoreError(f"{path.name}: this is no readable ONNX file ({type(err).__name__}).") from None
    stored: dict[str, Any] = {item.name: onnx.numpy_helper.to_array(item) for item in model.graph.initializer}
    axes = _axes(model)
    found: dict[str, Tensor] = {}
    missing = []
    for name, tensor, _ in tensors_of(original):
        value = _value(name, stored, axes)
        if value is not None and value.shape == tuple(tensor.shape)[::-1] != tuple(tensor.shape):
            value = value.T  # exporters store the weight of a matrix product as (in, out)
        if value is None or value.shape != tuple(tensor.shape):
            missing.append(name)
            continue
        found[name] = torch.tensor(np.ascontiguousarray(value), dtype=torch.float32)
    if missing:
        raise InvalidInput(
            f"{path.name}: weights must carry the names of the original's parameters. Not found: "
            f"{', '.join(missing[:3])}{', ...' * (len(missing) > 3)} among {', '.join(list(stored)[:5])}, ... "
            "Export with keep_initializers_as_inputs or name the initializers."
        )
    return found, sum(int(array.nbytes) for array in stored.values())


def _axes(model: Any) -> dict[str, int]:
    """Return the channel axis of each dequantized initializer."""
    axes = {}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear":
            axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
            axes[node.input[0]] = int(axis)
    return axes


def _value(name: str, stored: dict[str, Any], axes: dict[str, int]) -> Any:
    if name in stored:
        return np.asarray(stored[name], dtype=np.float32)
    codes = stored.get(f"{name}_quantized")
    scale = stored.get(f"{name}_scale")
    if codes is None or scale is None:
        return None
    zero = np.asarray(stored.get(f"{name}_zero_point", 0), dtype=np.float32)
    scale = np.asarray(scale, dtype=np.float32)
    axis = axes.get(f"{name}_quantized", codes.ndim - 1 if scale.size == codes.shape[-1] else 0)
    shape = [1] * codes.ndim
    if scale.size > 1:
        shape[axis] = scale.size
    zero = zero.reshape(shape) if zero.size == scale.size else zero.reshape([1] * codes.ndim)
    return (codes.astype(np.float32) - zero) * scale.reshape(shape)
