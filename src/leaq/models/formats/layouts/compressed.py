"""compressed-tensors (vLLM, llm-compressor): codes in words along the inputs, or floats of 4 or 6 bits in bytes.

Parts of layer x: x.weight_packed, x.weight_scale, x.weight_shape, x.weight_zero_point, x.weight_g_idx; of NVFP4, MXFP4
and MXFP6 x.weight_packed (bytes), x.weight_scale, x.weight_global_scale.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from leaq.errors import InvalidInput
from leaq.models.formats.codes import scaled, unpack_words
from leaq.models.formats.layout import LayerLayout, Parts
from leaq.models.formats.weight import Shape, Weight

E2M1 = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0])
"""Values of 4-bit floats by code. Source: OCP Microscaling Formats 1.0, table 4."""
E2M3 = torch.tensor([m / 8 for m in range(8)] + [(1 + m / 8) * 2**e for e in range(3) for m in range(8)])
"""Values of 6-bit floats by code without its sign, which is the highest bit. Source: the same, table 3."""
BLOCK = 32
"""Numbers that share a power of two in MX formats."""


def _compressed(parts: Parts, settings: Mapping[str, Any]) -> Weight:
    """Return the weight by the width of its codes that the settings name, then by the others that fill its words."""
    layer, packed, scale = settings["layer"], parts["weight_packed"], parts.get("weight_scale")
    if scale is None:
        raise InvalidInput(f"Layer {layer!r} of compressed-tensors must hold weight_scale beside weight_packed.")
    if packed.dtype == torch.uint8:
        return _short_floats(packed, scale, parts.get("weight_global_scale"), layer)
    if "weight_shape" not in parts:
        raise InvalidInput(f"Layer {layer!r} of compressed-tensors must hold weight_shape beside weight_packed.")
    rows, columns = (int(size) for size in parts["weight_shape"].tolist())
    said = _said_bits(settings)
    fitting = sorted(
        (bits for bits in range(2, 9) if packed.shape[1] in (_stream(bits, columns), -(-columns // (32 // bits)))),
        key=lambda bits: (bits not in said, packed.shape[1] != _stream(bits, columns), -bits),
    )
    if packed.shape[0] != rows or not fitting:
        raise InvalidInput(
            f"Layer {layer!r} of compressed-tensors: weight_packed must hold {rows} x {columns} codes of 2 to 8 bits. "
            f"Found words {tuple(packed.shape)}."
        )
    found = [one for bits in fitting if (one := _words(parts, scale, bits, (rows, columns))) is not None]
    if not found or (scale.ndim == 2 and scale.shape[0] not in (1, rows)):
        raise InvalidInput(
            f"Layer {layer!r} of compressed-tensors: {rows} x {columns} codes must be covered by their scales, a row "
            f"of them for each output. Found scales {tuple(scale.shape)}."
        )
    first, *others = found
    named = (replace(one, convention=f"{bits} bits", others=()) for one, bits in zip(others, fitting[1:], strict=True))
    return replace(first, others=(*first.others, *named))


def _words(parts: Parts, scale: Tensor, bits: int, shape: tuple[int, int]) -> Weight | None:
    """Return the weight (rows, columns) whose codes are of a width; None if the scales do not cover them."""
    rows, columns = shape
    codes = _in_words(parts["weight_packed"], bits, columns)
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
    return scaled(codes - middle, scale, zero, form=form)


def _said_bits(settings: Mapping[str, Any]) -> frozenset[int]:
    """Return the widths that compressed-tensors' settings name; of mixed precision each group of layers has one."""
    groups = settings.get("config_groups")
    found = groups.values() if isinstance(groups, Mapping) else ()
    named = (((group or {}).get("weights") or {}).get("num_bits") for group in found)
    return frozenset(bits for bits in named if isinstance(bits, int))


def _stream(bits: int, columns: int) -> int:
    """Return the words of a row whose codes are a stream of bits."""
    return -(-columns * bits // 32)


def _in_words(words: Tensor, bits: int, columns: int) -> Tensor:
    """Unpack (rows, words) into (rows, columns): a stream of bits, or (earlier versions) whole codes in a word."""
    if words.shape[1] == _stream(bits, columns):
        return unpack_words(words.T.contiguous(), bits, columns).T
    shifts = torch.arange(32 // bits) * bits
    codes = ((words.long() & 0xFFFFFFFF).unsqueeze(-1) >> shifts) & (2**bits - 1)
    spread: Tensor = codes.flatten(1)[:, :columns]
    return spread


def _short_floats(packed: Tensor, scale: Tensor, whole: Tensor | None, layer: str) -> Weight:
    if _of_six(packed.shape, scale.shape):
        words = unpack_words(_bytes(packed).T.contiguous(), 6, packed.shape[1] * 4 // 3).T
        values, form = E2M3[words & 31] * (1 - 2 * (words >> 5)), "compressed-tensors MXFP6"
    else:
        values = E2M1[torch.stack([packed & 15, packed >> 4], dim=-1).flatten(1).long()]
        form = "compressed-tensors MXFP4" if scale.dtype == torch.uint8 else "compressed-tensors NVFP4"
    if scale.dtype != torch.uint8 and whole is not None:
        scale = scale.float() / whole.float()
    found = scaled(values, scale, form=form)
    if found is None:
        raise InvalidInput(f"Layer {layer!r}: scales {tuple(scale.shape)} do not cover {tuple(values.shape)} codes.")
    return Weight(found.value, None, form)


def _of_six(packed: Shape, scale: Shape) -> bool:
    """Whether bytes hold four 6-bit floats in three, by the blocks that their scales cover."""
    return 4 * packed[1] == 3 * BLOCK * scale[1]


def _bytes(packed: Tensor) -> Tensor:
    """Return bytes (rows, b) as 32-bit words (rows, b / 4), filled up with zeros."""
    filled = torch.nn.functional.pad(packed, (0, -packed.shape[1] % 4))
    return filled.contiguous().view(torch.int32)


def _shapes(parts: Mapping[str, Shape]) -> list[Shape]:
    """Return the shape that bytes and their scales tell; what is in words says it itself."""
    if "weight_shape" in parts:
        return []
    rows, count = parts["weight_packed"]
    return [(rows, count * 4 // 3 if _of_six(parts["weight_packed"], parts["weight_scale"]) else 2 * count)]


LAYOUT = LayerLayout(
    ("weight_packed", "weight_scale", "weight_shape", "weight_zero_point", "weight_g_idx", "weight_global_scale"),
    lambda parts: "weight_packed" in parts,
    _compressed,
    shape=_shapes,
    beside=("input_scale", "input_global_scale", "input_zero_point", "output_scale", "k_scale", "v_scale"),
)
