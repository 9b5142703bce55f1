"""compressed-tensors (vLLM, llm-compressor): codes in words along the inputs, or two 4-bit floats in a byte.

Parts of layer x: x.weight_packed, x.weight_scale, x.weight_shape, x.weight_zero_point, x.weight_g_idx; of NVFP4 and
MXFP4 x.weight_packed (bytes), x.weight_scale, x.weight_global_scale.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from leaq.errors import InvalidInput
from leaq.models.formats.codes import scaled, unpack_words
from leaq.models.formats.layout import LayerLayout, Parts
from leaq.models.formats.weight import Weight

E2M1 = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0])
"""Values of 4-bit floats by code. Source: OCP Microscaling Formats 1.0, table 4."""


def _compressed(parts: Parts, settings: Mapping[str, Any]) -> Weight:
    """compressed-tensors: codes in words along the inputs, or two 4-bit floats in a byte."""
    layer, packed, scale = settings["layer"], parts["weight_packed"], parts.get("weight_scale")
    if scale is None:
        raise InvalidInput(f"Layer {layer!r} of compressed-tensors must hold weight_scale beside weight_packed.")
    if packed.dtype == torch.uint8:
        return _four_bit_floats(packed, scale, parts.get("weight_global_scale"), layer)
    if "weight_shape" not in parts:
        raise InvalidInput(f"Layer {layer!r} of compressed-tensors must hold weight_shape beside weight_packed.")
    rows, columns = (int(size) for size in parts["weight_shape"].tolist())
    fitting = [
        bits for bits in range(2, 9) if packed.shape[1] in (-(-columns * bits // 32), -(-columns // (32 // bits)))
    ]
    said = _said_bits(settings)
    if packed.shape[0] != rows or not fitting:
        raise InvalidInput(
            f"Layer {layer!r} of compressed-tensors: weight_packed must hold {rows} x {columns} codes of 2 to 8 bits. "
            f"Found words {tuple(packed.shape)}."
        )
    bits = said if said in fitting else fitting[0]
    codes = _in_words(packed, bits, columns)
    middle = 2 ** (bits - 1)
    zero = None
    if (stored := parts.get("weight_zero_point")) is not None:
        zero = _in_words(stored.T.contiguous(), bits, rows).T - middle if stored.dtype == torch.int32 else stored
    groups = scale.shape[1] if scale.ndim == 2 else 1
    form = f"compressed-tensors {bits}-bit" + f" in groups of {-(-columns // groups)}" * (groups > 1)
    form += " with zero points" * (zero is not None)
    order = parts.get("weight_g_idx")
    if order is not None and bool((order >= 0).all()) and scale.ndim == 2:
        scale, zero = scale[:, order.long()], None if zero is None else zero[:, order.long()]
    found = scaled(codes - middle, scale, zero, form=form)
    if found is None or (scale.ndim == 2 and scale.shape[0] not in (1, rows)):
        raise InvalidInput(
            f"Layer {layer!r} of compressed-tensors: {rows} x {columns} codes must be covered by their scales, a row "
            f"of them for each output. Found scales {tuple(scale.shape)}."
        )
    return found


def _said_bits(settings: Mapping[str, Any]) -> int | None:
    """Return the width that compressed-tensors' settings name, if they name one."""
    groups = settings.get("config_groups")
    for group in groups.values() if isinstance(groups, Mapping) else ():
        bits = ((group or {}).get("weights") or {}).get("num_bits")
        if isinstance(bits, int):
            return bits
    return None


def _in_words(words: Tensor, bits: int, columns: int) -> Tensor:
    """Unpack (rows, words) into (rows, columns): a stream of bits, or (earlier versions) whole codes in a word."""
    if words.shape[1] == -(-columns * bits // 32):
        return unpack_words(words.T.contiguous(), bits, columns).T
    shifts = torch.arange(32 // bits) * bits
    codes = ((words.long() & 0xFFFFFFFF).unsqueeze(-1) >> shifts) & (2**bits - 1)
    spread: Tensor = codes.flatten(1)[:, :columns]
    return spread


def _four_bit_floats(packed: Tensor, scale: Tensor, whole: Tensor | None, layer: str) -> Weight:
    codes = torch.stack([packed & 15, packed >> 4], dim=-1).flatten(1)
    values = E2M1[codes.long()]
    if scale.dtype == torch.uint8:  # MXFP4: powers of two
        wide = torch.exp2(scale.float() - 127)
        form = "compressed-tensors MXFP4"
    else:
        wide = scale.float() / (1.0 if whole is None else whole.float())
        form = "compressed-tensors NVFP4"
    found = scaled(values, wide, form=form)
    if found is None:
        raise InvalidInput(f"Layer {layer!r}: scales {tuple(scale.shape)} do not cover {tuple(values.shape)} codes.")
    return Weight(found.value, None, form)


LAYOUT = LayerLayout(
    ("weight_packed", "weight_scale", "weight_shape", "weight_zero_point", "weight_g_idx", "weight_global_scale"),
    lambda parts: "weight_packed" in parts,
    _compressed,
    shape=lambda parts: (
        [] if "weight_shape" in parts else [(*parts["weight_packed"][:1], 2 * parts["weight_packed"][1])]
    ),
    beside=("input_scale", "input_global_scale", "input_zero_point", "output_scale", "k_scale", "v_scale"),
)
