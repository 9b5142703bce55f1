"""bitsandbytes NF4 and FP4: x.weight (bytes), x.weight.absmax, .quant_map, .quant_state.* of layer x."""

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from leaq.errors import InvalidInput
from leaq.models.formats.layout import LayerLayout, Parts
from leaq.models.formats.weight import Weight


def _bitsandbytes(parts: Parts, settings: Mapping[str, Any]) -> Weight:
    """NF4 and FP4: a byte holds two codes, the high one first; scales may themselves be quantized."""
    state = next((tensor for name, tensor in parts.items() if "quant_state" in name), None)
    missing = [name for name in ("weight", "weight.absmax", "weight.quant_map") if name not in parts]
    if state is None or missing:
        raise InvalidInput(
            f"Layer {settings['layer']!r} of bitsandbytes must hold its codes, absmax, quant_map and quant_state. "
            f"Missing: {', '.join(missing or ['quant_state'])}."
        )
    about = json.loads(bytes(state.tolist()))
    absmax = parts["weight.absmax"].float()
    if "weight.nested_absmax" in parts:
        levels = parts["weight.nested_quant_map"].float()[parts["weight.absmax"].long()]
        nested = parts["weight.nested_absmax"].float()
        absmax = levels * _each(nested, int(about["nested_blocksize"]), len(levels)) + float(about["nested_offset"])
    packed = parts["weight"].flatten().contiguous().view(torch.uint8)
    codes = torch.stack([packed >> 4, packed & 15], dim=1).flatten()
    shape = torch.Size(about["shape"])
    codes = codes[: shape.numel()]
    scale = _each(absmax, int(about["blocksize"]), len(codes))
    value = (parts["weight.quant_map"].float()[codes.long()] * scale).reshape(shape)
    twice = " nested" * ("weight.nested_absmax" in parts)
    return Weight(value, None, f"bitsandbytes {str(about.get('quant_type', '4-bit')).upper()}{twice}")


def _each(scales: Tensor, size: int, count: int) -> Tensor:
    """Return the scale of each of some numbers in blocks of a size; no more is made, whatever size a file claims."""
    return scales[torch.arange(count) // size]


LAYOUT = LayerLayout(
    (
        *("weight.absmax", "weight.quant_map", "weight.nested_absmax", "weight.nested_quant_map"),
        *("weight.quant_state.bitsandbytes__nf4", "weight.quant_state.bitsandbytes__fp4"),
    ),
    lambda parts: bool({"weight.quant_map", "weight.absmax"} & parts),
    _bitsandbytes,
)
