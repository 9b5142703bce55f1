"""optimum-quanto: x.weight._data and x.weight._scale of layer x, whole numbers or float8 of 8 bits.

Fewer bits lie in x.weight._data._data, the codes of the first rows lowest in a byte, and count from x.weight._shift. A
row there is a row of the weight, or a group of one: how many groups make a row only the weight's shape tells.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from leaq.errors import InvalidInput
from leaq.models.formats.codes import scaled
from leaq.models.formats.layout import LayerLayout, Parts
from leaq.models.formats.weight import Weight

CODES, SCALE, PACKED, SHIFT = "weight._data", "weight._scale", "weight._data._data", "weight._shift"


def _quanto(parts: Parts, settings: Mapping[str, Any]) -> Weight:
    if PACKED in parts:
        return _packed(parts, settings)
    codes, scale = parts.get(CODES), parts.get(SCALE)
    kind = "" if codes is None else str(codes.dtype).removeprefix("torch.")
    if codes is None or scale is None:
        raise _unknown(parts, settings)
    found = scaled(codes, scale, form=f"quanto {kind}{_own(scale)}")
    if found is None:
        raise _unknown(parts, settings)
    others = tuple(replace(one, value=one.value.to(scale.dtype).float()) for one in found.others)
    return replace(found, value=found.value.to(scale.dtype).float(), others=others)


def _own(scale: Tensor) -> str:
    """Say in which type of 16 bits a model was quantized, and multiplies."""
    return f" in {scale.dtype}".replace("torch.", "") * (scale.element_size() == 2)


def _packed(parts: Parts, settings: Mapping[str, Any]) -> Weight:
    """Return what 4 or 2 bits stand for, by how many rows the scales have."""
    packed, scale, shift = (parts.get(name) for name in (PACKED, SCALE, SHIFT))
    found = []
    if packed is not None and scale is not None and shift is not None and scale.ndim == packed.ndim:
        rows = len(scale)
        for bits in (4, 2):
            if -(-rows * bits // 8) != len(packed):
                continue
            codes = torch.cat([(packed >> at) & (2**bits - 1) for at in range(0, 8, bits)])[:rows]
            value = (scale * codes - shift).float()  # in the model's own type
            if not shift.is_floating_point():  # a zero point
                value = (scale * (codes.to(torch.int8) - shift.to(torch.int8))).float()
            size = packed[0].numel()
            form, convention = f"quanto {bits}-bit{_own(scale)} in groups of {size}", f"{bits} bits"
            found.append(Weight(value, scale.float().expand(value.shape), form, convention, flat=True))
    if not found:
        raise _unknown(parts, settings)
    first, *others = found
    return Weight(first.value, first.step, first.form, first.convention, tuple(others), flat=True)


def _unknown(parts: Parts, settings: Mapping[str, Any]) -> InvalidInput:
    held = ", ".join(f"{name} {tuple(part.shape)}" for name, part in parts.items())
    return InvalidInput(
        f"Layer {settings['layer']!r} is in a layout of optimum-quanto that is not read. Found {held}. Give the "
        "running module."
    )


LAYOUT = LayerLayout(
    (CODES, SCALE, PACKED, SHIFT),
    lambda parts: CODES in parts or PACKED in parts,
    _quanto,
    beside=("input_scale", "output_scale"),
)
