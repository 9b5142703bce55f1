"""Layers whose codes and scales are separate tensors of a safetensors file, told apart by the names of their parts.

| parts of layer x | written by |
|---|---|
| x.qweight, x.scales, x.qzeros, x.g_idx | GPTQ, AWQ, AutoRound |
| x.weight_packed, x.weight_scale, x.weight_shape, x.weight_zero_point | compressed-tensors (vLLM, llm-compressor) |
| x.weight_packed (bytes), x.weight_scale, x.weight_global_scale | compressed-tensors NVFP4 and MXFP4 |
| x.weight (int8, float8), x.weight_scale or x.weight_scale_inv | compressed-tensors, fbgemm, DeepSeek |
| x.weight (int8), x.SCB | bitsandbytes LLM.int8 |
| x.weight (bytes), x.weight.absmax, x.weight.quant_map, x.weight.quant_state.* | bitsandbytes NF4, FP4 |
| x._weight_qdata, x._weight_scale, x._weight_zero_point | torchao |
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from leaq.errors import InvalidInput, LeaqError
from leaq.models.formats.codes import scaled, unpack_words
from leaq.models.formats.weight import Weight
from leaq.models.formats.words import read_words

__all__ = ["LazyWeight", "layers_of"]

LazyWeight = Callable[[], Weight]
"""A weight that is read and dequantized when it is asked for, so that a file need not fit into memory twice."""

Parts = Mapping[str, Tensor]

E2M1 = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0])
"""Values of 4-bit floats by code. Source: OCP Microscaling Formats 1.0, table 4."""

_SUFFIXES = (
    *("qweight", "qzeros", "scales", "g_idx"),
    *("weight_packed", "weight_scale", "weight_shape", "weight_zero_point", "weight_g_idx", "weight_global_scale"),
    *("weight_scale_inv", "SCB", "weight_format", "weight.absmax", "weight.quant_map"),
    *("weight.nested_absmax", "weight.nested_quant_map"),
    *("_weight_qdata", "_weight_scale", "_weight_zero_point", "_weight_act_pre_scale"),
    *("input_scale", "input_global_scale", "input_zero_point", "output_scale", "k_scale", "v_scale"),
)
_PART = re.compile(
    rf"^(?:(?P<layer>.*)\.)?(?P<part>{'|'.join(map(re.escape, _SUFFIXES))}|weight\.quant_state\.bitsandbytes__\w+)$"
)


def layers_of(
    names: list[str], load: Callable[[str], Tensor], settings: Mapping[str, Any]
) -> tuple[dict[str, LazyWeight], list[str]]:
    """Return the quantized weights of a file by name, and the names of the tensors that belong to none.

    Parameters
    ----------
    names : of all tensors of the file.
    load : returns a tensor by name.
    settings : the checkpoint's quantization settings.
    """
    parts: dict[str, dict[str, str]] = {}
    for name in names:
        if match := _PART.match(name):
            parts.setdefault(match["layer"] or "", {})[match["part"]] = name
    for layer, found in parts.items():
        for leaf in ("weight", "bias"):
            name = f"{layer}.{leaf}" if layer else leaf
            if leaf == "weight" and name in names:
                found["weight"] = name
    weights: dict[str, LazyWeight] = {}
    taken: set[str] = set()
    for layer, found in parts.items():
        reader = _reader(found)
        if reader is None:
            continue
        name = f"{layer}.weight" if layer else "weight"
        weights[name] = _later(reader, found, load, {**settings, "layer": layer})
        taken |= set(found.values())
    return weights, [name for name in names if name not in taken]


def _later(
    reader: Callable[[Parts, Mapping[str, Any]], Weight],
    found: Mapping[str, str],
    load: Callable[[str], Tensor],
    settings: Mapping[str, Any],
) -> LazyWeight:
    def read() -> Weight:
        parts = {part: load(name) for part, name in found.items()}
        try:
            return reader(parts, settings)
        except LeaqError:
            raise
        except Exception as err:  # parts of other shapes and types than any producer writes
            held = ", ".join(f"{part} {tuple(tensor.shape)}" for part, tensor in parts.items())
            raise InvalidInput(
                f"Layer {settings['layer']!r}: its parts must belong together. Found {held} ({type(err).__name__}). "
                "The file is damaged, or of a layout that is not read: give the running model."
            ) from None

    return read


def _reader(parts: Mapping[str, str]) -> Callable[[Parts, Mapping[str, Any]], Weight] | None:
    """Return what reads a layer of these parts; None if they carry no codes."""
    if "qweight" in parts:
        return lambda given, settings: read_words(given, settings, layer=str(settings["layer"]))
    if "weight_packed" in parts:
        return _compressed
    if "weight.quant_map" in parts or "weight.absmax" in parts:
        return _bitsandbytes
    if "weight" in parts and {"weight_scale", "weight_scale_inv", "SCB"} & set(parts):
        return _beside
    if "_weight_qdata" in parts:
        return _torchao
    return None


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
    form = f"compressed-tensors {bits}-bit"
    order = parts.get("weight_g_idx")
    if order is not None and bool((order >= 0).all()) and scale.ndim == 2:
        scale, zero = scale[:, order.long()], None if zero is None else zero[:, order.long()]
    found = scaled(codes - middle, scale, zero, form=form)
    if found is None:
        raise InvalidInput(
            f"Layer {layer!r} of compressed-tensors: {rows} x {columns} codes must be covered by their scales. Found "
            f"scales {tuple(scale.shape)}."
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


def _beside(parts: Parts, settings: Mapping[str, Any]) -> Weight:
    """8-bit codes that keep the weight's name, with scales beside them."""
    codes = parts["weight"]
    kind = str(codes.dtype).removeprefix("torch.")
    if (absolute := parts.get("SCB")) is not None:
        found = scaled(codes, absolute.reshape(-1, 1) / 127, form="bitsandbytes LLM.int8")
    else:
        scale = parts.get("weight_scale", parts.get("weight_scale_inv"))
        found = scaled(codes, scale, parts.get("weight_zero_point"), form=kind) if scale is not None else None
    if found is None:
        raise InvalidInput(
            f"Layer {settings['layer']!r}: {kind} codes {tuple(codes.shape)} must be covered by their scales. Found "
            f"{', '.join(f'{name} {tuple(part.shape)}' for name, part in parts.items() if name != 'weight')}."
        )
    return found


def _torchao(parts: Parts, settings: Mapping[str, Any]) -> Weight:
    codes, scale = parts["_weight_qdata"], parts.get("_weight_scale")
    kind = f"torchao {str(codes.dtype).removeprefix('torch.')}"
    found = None
    if scale is not None and codes.dtype != torch.int32:
        found = scaled(codes, scale, parts.get("_weight_zero_point"), form=kind)
    if found is None:
        raise InvalidInput(
            f"Layer {settings['layer']!r} is in a layout of torchao that is not read: codes {tuple(codes.shape)} of "
            f"{codes.dtype} with scales {None if scale is None else tuple(scale.shape)}. Give the running module."
        )
    return found


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
    return Weight(value, None, f"bitsandbytes {str(about.get('quant_type', '4-bit')).upper()}")


def _each(scales: Tensor, size: int, count: int) -> Tensor:
    """Return the scale of each of some numbers in blocks of a size; no more is made, whatever size a file claims."""
    return scales[torch.arange(count) // size]
