"""8-bit codes that keep the weight's name: int8 and float8 of compressed-tensors, fbgemm, DeepSeek, LLM.int8.

Parts of layer x: x.weight (int8, float8), x.weight_scale or x.weight_scale_inv; of bitsandbytes x.weight (int8), x.SCB.
"""

from collections.abc import Mapping
from typing import Any

from leaq.errors import InvalidInput
from leaq.models.formats.codes import scaled
from leaq.models.formats.layout import LayerLayout, Parts
from leaq.models.formats.weight import Weight


def _beside(parts: Parts, settings: Mapping[str, Any]) -> Weight:
    """8-bit codes that keep the weight's name, with scales beside them."""
    codes = parts["weight"]
    kind = str(codes.dtype).removeprefix("torch.")
    found: Weight | None
    if (absolute := parts.get("SCB")) is not None:
        value = codes.float() * absolute.float().reshape(-1, 1) * (1 / 127)  # the package's own order of operations
        found = Weight(value, absolute.float().reshape(-1, 1) / 127, "bitsandbytes LLM.int8")
    else:
        scale = parts.get("weight_scale", parts.get("weight_scale_inv"))
        zero = parts.get("weight_zero_point")
        one = scale is not None and scale.numel() == 1 and len(codes) > 1
        form = kind + " per tensor" * one + " with zero points" * (zero is not None)
        found = scaled(codes, scale, zero, form=form) if scale is not None else None
    if found is None:
        raise InvalidInput(
            f"Layer {settings['layer']!r}: {kind} codes {tuple(codes.shape)} must be covered by their scales. Found "
            f"{', '.join(f'{name} {tuple(part.shape)}' for name, part in parts.items() if name != 'weight')}."
        )
    return found


LAYOUT = LayerLayout(
    ("weight_scale", "weight_scale_inv", "weight_zero_point", "SCB", "weight_format"),
    lambda parts: "weight" in parts and bool({"weight_scale", "weight_scale_inv", "SCB"} & parts),
    _beside,
    shape=lambda parts: [parts["weight"]],
)
