"""Models that somebody already quantized: audited as they run, or read from their file into the original's layers.

A module (torchao, bitsandbytes, any other) runs its own kernels. A safetensors file is read into a copy of the
original: packed GPTQ layers are unpacked, everything else must match by name. An ONNX file is read for its weights.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from leaq.errors import InvalidInput
from leaq.models import unwrap
from leaq.models.gptq import unpack_gptq
from leaq.models.onnx import read_onnx
from leaq.models.roles import tensors_of
from leaq.models.weights import check_match, metadata_of, read_weights
from leaq.results import Size
from leaq.types import Flag

__all__ = ["Opened", "open_shipped", "weigh"]


@dataclass(frozen=True)
class Opened:
    """A shipped model that can run, the bytes its tensors take, and doubts."""

    module: nn.Module
    bytes: int
    flags: tuple[Flag, ...] = ()


def open_shipped(shipped: nn.Module | str | Path, original: nn.Module, *, name: str) -> Opened:
    """Return a shipped model ready to run.

    Parameters
    ----------
    shipped : a module, or a .safetensors or .onnx file with weights of the original's architecture.
    original : the full-precision model; copied where weights are read into it, never changed.
    """
    if isinstance(shipped, nn.Module):
        module = unwrap(shipped)
        return Opened(module, sum(stored_bytes(tensor) for tensor in _stored(module)))
    path = Path(shipped)
    if path.suffix == ".onnx":
        weights, size = read_onnx(path, original)
    else:
        stored = read_weights(path)
        size = sum(tensor.nbytes for tensor in stored.values())
        weights = unpack_gptq(stored, metadata_of(path))
    check_match(original, weights, subject=name)
    flags = _same(original, weights, name)
    return Opened(_filled(original, weights), size, flags)


def weigh(opened: Opened, original: nn.Module) -> Size:
    """Return bits per parameter of the original and bytes of a shipped model; the codes' entropy is not known."""
    count = sum(tensor.numel() for _, tensor, _ in tensors_of(original))
    bits = 8 * opened.bytes / count
    return Size(bits, bits, opened.bytes, 4 * count / max(1, opened.bytes))


def _filled(original: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    module = copy.deepcopy(original).float().eval()
    module.load_state_dict({name: tensor.float() for name, tensor in weights.items()}, strict=False)
    return module


def _same(original: nn.Module, weights: Mapping[str, Tensor], name: str) -> tuple[Flag, ...]:
    own = {key: tensor for key, tensor, _ in tensors_of(original)}
    if all(torch.equal(weights[key].float().cpu(), own[key].detach().float().cpu()) for key in own):
        return (Flag("not-quantized", f"The weights of {name} equal the original's: nothing was quantized."),)
    return ()


def _stored(module: nn.Module) -> Iterator[Tensor]:
    seen: set[int] = set()
    for tensor in (*module.parameters(), *module.buffers()):
        if id(tensor) not in seen:
            seen.add(id(tensor))
            yield tensor


def stored_bytes(tensor: Any) -> int:
    """Return the bytes a tensor takes, packed codes and scales of quantized tensor classes included."""
    flatten = getattr(tensor, "__tensor_flatten__", None)
    if flatten is not None and type(tensor) not in (Tensor, nn.Parameter):
        names, _ = flatten()
        return sum(stored_bytes(getattr(tensor, name)) for name in names)
    state = getattr(tensor, "quant_state", None)  # bitsandbytes keeps scales beside the packed codes
    scales = getattr(state, "absmax", None)
    extra = scales.nbytes if isinstance(scales, Tensor) else 0
    if not isinstance(tensor, Tensor):
        raise InvalidInput(f"A stored weight must be a tensor. Found {type(tensor).__name__}.")
    return int(tensor.nbytes) + extra
