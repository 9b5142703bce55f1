"""Weights packed the GPTQ way: integer codes in 32-bit words, with scales and zero points a group of inputs.

A layer ``x`` is stored as ``x.qweight`` (in * bits / 32, out), ``x.qzeros`` (groups, out * bits / 32), ``x.scales``
(groups, out) and ``x.g_idx`` (in). Source: Frantar et al., GPTQ (arXiv 2210.17323v2); the layout is that of the
checkpoints written by AutoGPTQ and GPTQModel, format "gptq" (zero points stored less one) or "gptq_v2".
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from leaq.errors import InvalidInput

__all__ = ["unpack_gptq"]

PARTS = ("qweight", "qzeros", "scales", "g_idx")


def unpack_gptq(stored: Mapping[str, Tensor], settings: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
    """Return the tensors with every packed layer replaced by its weight (out, in) in 32-bit floating point.

    Parameters
    ----------
    settings : the checkpoint's quantization settings; "checkpoint_format" decides how zero points are read.

    Raises
    ------
    InvalidInput
        If a layer lacks a part, or its bit width is not 2, 4 or 8.
    """
    layers = sorted(name.removesuffix(".qweight") for name in stored if name.endswith(".qweight"))
    packed = {f"{layer}.{part}" for layer in layers for part in PARTS}
    found = {name: tensor for name, tensor in stored.items() if name not in packed}
    offset = 0 if (settings or {}).get("checkpoint_format") == "gptq_v2" else 1
    for layer in layers:
        missing = [part for part in PARTS if f"{layer}.{part}" not in stored]
        if missing:
            raise InvalidInput(f"GPTQ layer {layer!r} must hold {', '.join(PARTS)}. Missing: {', '.join(missing)}.")
        found[f"{layer}.weight"] = _weight(layer, {part: stored[f"{layer}.{part}"] for part in PARTS}, offset)
    return found


def _weight(layer: str, parts: Mapping[str, Tensor], offset: int) -> Tensor:
    qweight, scales, group = parts["qweight"], parts["scales"].float(), parts["g_idx"].long()
    inputs = len(group)
    bits = 32 * qweight.shape[0] // inputs
    if bits not in (2, 4, 8) or bits * inputs != 32 * qweight.shape[0]:
        raise InvalidInput(
            f"GPTQ layer {layer!r} must have codes of 2, 4 or 8 bits. Found {bits}. Dequantize it first."
        )
    codes = unpack(qweight, bits, rows=True)  # (in, out)
    zeros = unpack(parts["qzeros"], bits, rows=False) + offset  # (groups, out)
    return ((codes - zeros[group]).float() * scales[group]).T.contiguous()


def unpack(words: Tensor, bits: int, *, rows: bool) -> Tensor:
    """Spread 32-bit words into their codes along the rows or the columns, lowest bits first."""
    shifts = torch.arange(0, 32, bits)
    mask = 2**bits - 1
    wide = words.long() & 0xFFFFFFFF
    if rows:
        codes: Tensor = ((wide.unsqueeze(1) >> shifts.view(1, -1, 1)) & mask).flatten(0, 1)
    else:
        codes = ((wide.unsqueeze(2) >> shifts.view(1, 1, -1)) & mask).flatten(1)
    return codes
