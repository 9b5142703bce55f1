"""Layers of 4-bit (2 to 8) codes in 32-bit words: GPTQ, AWQ and what AutoRound writes in their layouts.

A GPTQ layer ``x`` is stored as ``x.qweight`` (in * bits / 32, out), ``x.qzeros`` (groups, out * bits / 32),
``x.scales`` (groups, out) and, where inputs were reordered, ``x.g_idx`` (in): weight = (code - zero) * scale. Zero
points are stored less one ("gptq") or as they are ("gptq_v2"); files say so badly, so the original beside them decides.
An AWQ layer packs along the outputs: ``x.qweight`` (in, out * bits / 32), columns interleaved, zero points as they are.

Source: Frantar et al., GPTQ (arXiv 2210.17323v2); Lin et al., AWQ (arXiv 2306.00978v5); layouts of AutoGPTQ, GPTQModel,
AutoAWQ and AutoRound checkpoints.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from leaq.errors import InvalidInput
from leaq.models.formats.codes import unpack_words
from leaq.models.formats.layout import LayerLayout
from leaq.models.formats.weight import Shape, Weight

INTERLEAVED = (0, 2, 4, 6, 1, 3, 5, 7)
"""AWQ: which column of eight each nibble of a word holds, lowest first."""
WIDTHS = range(2, 9)


def read_words(parts: Mapping[str, Tensor], settings: Mapping[str, Any], *, layer: str) -> Weight:
    """Return the weight (out, in) of one layer.

    Parameters
    ----------
    parts : qweight, scales, and qzeros or g_idx where the layer has them.
    settings : the checkpoint's quantization settings: bits, group_size, sym, checkpoint_format, packing_format.

    Raises
    ------
    InvalidInput
        If a part is missing or parts do not belong together.
    """
    missing = [part for part in ("qweight", "scales") if part not in parts]
    if missing:
        raise InvalidInput(f"Layer {layer!r} of packed words must hold qweight and scales. Missing: {missing[0]}.")
    if parts["scales"].ndim != 2 or parts["qweight"].ndim != 2:
        raise InvalidInput(
            f"Layer {layer!r} of packed words must hold matrices. Found qweight {tuple(parts['qweight'].shape)} and "
            f"scales {tuple(parts['scales'].shape)}."
        )
    odd = [name for name in ("qweight", "qzeros") if name in parts and parts[name].is_floating_point()]
    if odd or not parts["scales"].is_floating_point():
        name = odd[0] if odd else "scales"
        raise InvalidInput(
            f"Layer {layer!r} of packed words must hold whole numbers in qweight and qzeros and fractions in scales. "
            f"Found {name} of {parts[name].dtype}."
        )
    outputs = parts["scales"].shape[1]
    bits = _width(parts, settings, outputs, layer)
    if parts["qweight"].shape[1] != outputs and parts["qweight"].shape[1] * 32 == outputs * bits:
        return _awq(parts, bits, layer)
    return _gptq(parts, bits, settings, layer)


def _width(parts: Mapping[str, Tensor], settings: Mapping[str, Any], outputs: int, layer: str) -> int:
    """Return the bits of a code: the packed zero points tell, else the settings."""
    if "qzeros" in parts:
        bits = 32 * parts["qzeros"].shape[1] / outputs
    else:
        bits = float(settings.get("bits") or settings.get("w_bit") or 4)
    if bits not in WIDTHS:
        raise InvalidInput(
            f"Layer {layer!r} of packed words must have codes of 2 to 8 bits. Found {bits:g} by its qzeros "
            f"{tuple(parts['qzeros'].shape) if 'qzeros' in parts else ''} and scales {tuple(parts['scales'].shape)}."
        )
    return int(bits)


def _gptq(parts: Mapping[str, Tensor], bits: int, settings: Mapping[str, Any], layer: str) -> Weight:
    qweight, scales = parts["qweight"], parts["scales"].float()
    inputs = 32 * qweight.shape[0] // bits
    groups, outputs = scales.shape
    if qweight.shape[1] != outputs or 32 * qweight.shape[0] % bits:
        raise InvalidInput(
            f"GPTQ layer {layer!r}: qweight must be (in * {bits} / 32, {outputs}). Found {tuple(qweight.shape)}."
        )
    group = _groups(parts, inputs, groups, settings=settings, layer=layer)
    codes = unpack_words(qweight, bits, inputs)  # (in, out)
    stored = None if "qzeros" not in parts else unpack_words(parts["qzeros"].T.contiguous(), bits, outputs).T
    even = stored is None or bool((stored == stored.flatten()[0]).all())  # (groups, out)
    form = f"GPTQ {bits}-bit{_said_groups(group)}{', symmetric' * even}"
    wide = scales[group]
    if stored is None:
        return Weight(((codes - 2 ** (bits - 1)) * wide).T.contiguous(), wide.T, form, "symmetric")
    as_is = Weight(((codes - stored[group]) * wide).T.contiguous(), wide.T, form, "zero points as they are")
    zeros = (stored + 1) & (2**bits - 1)
    less_one = Weight(((codes - zeros[group]) * wide).T.contiguous(), wide.T, form, "zero points less one")
    said, other = (as_is, less_one) if _says_v2(settings, stored, bits) else (less_one, as_is)
    return Weight(said.value, said.step, form, said.convention, (other,))


def _said_groups(group: Tensor) -> str:
    """Say how many inputs share a scale, of the group of each."""
    size = int((group == group[0]).sum())
    if not torch.equal(group, torch.arange(len(group)) // size):
        return ", inputs reordered"
    return f", groups of {size}" if size < len(group) else ""


def _says_v2(settings: Mapping[str, Any], stored: Tensor, bits: int) -> bool:
    """Whether the file says that zero points are stored as they are; for symmetric ones their value tells."""
    if settings.get("sym") and bool((stored == 2 ** (bits - 1)).all()):
        return True
    return "v2" in str(settings.get("checkpoint_format", ""))


def _groups(
    parts: Mapping[str, Tensor], inputs: int, groups: int, *, settings: Mapping[str, Any], layer: str
) -> Tensor:
    """Return the group of each input: stored, or runs of equal length."""
    stored = parts.get("g_idx")
    if stored is not None and stored.numel() == inputs and (groups == 1 or bool((stored != 0).any())):
        if int(stored.min()) < 0 or int(stored.max()) >= groups:
            raise InvalidInput(
                f"GPTQ layer {layer!r}: g_idx must name one of {groups} groups, 0 to {groups - 1}. Found "
                f"{int(stored.min())} to {int(stored.max())}."
            )
        return stored.long()
    if stored is not None and stored.numel() not in (0, inputs):
        raise InvalidInput(f"GPTQ layer {layer!r}: g_idx must name {inputs} inputs. Found {stored.numel()}.")
    if groups > 1 and settings.get("desc_act"):
        raise InvalidInput(
            f"GPTQ layer {layer!r}: inputs were reordered (desc_act in the settings), and g_idx must say how. Found "
            "none. Save the checkpoint with g_idx, or give the running model."
        )
    size = -(-inputs // groups)
    said = settings.get("group_size", settings.get("q_group_size"))
    if isinstance(said, int) and said > 0 and -(-inputs // said) != groups:
        raise InvalidInput(
            f"Layer {layer!r}: group_size {said} of the settings must give {-(-inputs // said)} groups of {inputs} "
            f"inputs. Found scales of {groups}. The settings beside the file belong to another one."
        )
    return torch.arange(inputs) // (said if isinstance(said, int) and said > 0 else size)


def _awq(parts: Mapping[str, Tensor], bits: int, layer: str) -> Weight:
    if bits != 4 or "qzeros" not in parts:
        raise InvalidInput(f"AWQ layer {layer!r} must hold 4-bit codes and qzeros. Found {bits} bits.")
    scales = parts["scales"].float()
    inputs, groups = parts["qweight"].shape[0], scales.shape[0]
    group = torch.arange(inputs) // -(-inputs // groups)
    codes, zeros = (_interleaved(parts[name], scales.shape[1]) for name in ("qweight", "qzeros"))
    wide = scales[group]
    return Weight(((codes - zeros[group]) * wide).T.contiguous(), wide.T, f"AWQ 4-bit{_said_groups(group)}")


def _interleaved(words: Tensor, outputs: int) -> Tensor:
    """Unpack (rows, out / 8) words into (rows, out) codes."""
    straight = unpack_words(words.T.contiguous(), 4, outputs).T.reshape(len(words), -1, 8)
    codes = torch.empty_like(straight)
    codes[..., list(INTERLEAVED)] = straight
    return codes.reshape(len(words), outputs)


def _shapes(parts: Mapping[str, Shape]) -> list[Shape]:
    """Return the shape (out, in) that the parts' own shapes tell; without zero points the width of a code is open."""
    outputs, (rows, columns) = parts["scales"][1], parts["qweight"]
    if columns != outputs:
        return [(outputs, rows)]
    return [(outputs, 32 * rows * outputs // (32 * parts["qzeros"][1]))] if "qzeros" in parts else []


LAYOUT = LayerLayout(
    ("qweight", "qzeros", "scales", "g_idx"),
    lambda parts: "qweight" in parts,
    lambda parts, settings: read_words(parts, settings, layer=str(settings["layer"])),
    shape=_shapes,
)
