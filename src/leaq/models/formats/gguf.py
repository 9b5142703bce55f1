"""GGUF files of llama.cpp and ggml: every type that the `gguf` package decodes, under the original's names.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; names by the package's table of each architecture.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from leaq.errors import StoreError, UnsupportedModel, need
from leaq.models.formats.layers import LazyWeight
from leaq.models.formats.weight import Weight
from leaq.models.roles import tensors_of

__all__ = ["describe_gguf", "is_language_gguf", "read_gguf"]

UNCHANGED = frozenset({"F32", "F16", "F64", "BF16"})
"""Types that are no quantization."""


def _open(path: Path) -> Any:
    gguf = need("gguf", extra="gguf", purpose=f"Reading {path.name}")
    try:
        return gguf.GGUFReader(str(path))
    except Exception as err:  # whatever the package raises for bytes that are no GGUF, or end early
        raise StoreError(
            f"{path.name}: this is no readable GGUF file, or it ends early ({type(err).__name__}: "
            f"{str(err).splitlines()[0] if str(err) else 'no reason given'}). Download it again."
        ) from None


def describe_gguf(path: Path) -> str:
    """Say what a GGUF file holds: architecture, number of tensors, their types.

    Raises
    ------
    StoreError
        If it is no GGUF file.
    """
    reader = _open(path)
    kinds: dict[str, int] = {}
    for tensor in reader.tensors:
        kinds[tensor.tensor_type.name] = kinds.get(tensor.tensor_type.name, 0) + 1
    types = ", ".join(f"{count} {name}" for name, count in sorted(kinds.items()))
    return f"a GGUF file of architecture {_field(reader, 'general.architecture')!r} with {types or 'no'} tensors"


def is_language_gguf(path: Path) -> bool:
    """Whether a GGUF file says that it is a language model of an architecture that llama.cpp knows."""
    reader = _open(path)
    import gguf

    return _field(reader, "general.architecture") in gguf.MODEL_ARCH_NAMES.values()


def _field(reader: Any, name: str, default: Any = None) -> Any:
    field = reader.fields.get(name)
    return default if field is None else field.contents()


def read_gguf(path: Path, original: nn.Module) -> tuple[dict[str, LazyWeight], int]:
    """Return the weights of a GGUF file under the original's names where they have one there, and their bytes.

    Raises
    ------
    StoreError
        If it is no GGUF file, or it ends early.
    """
    reader = _open(path)
    if not reader.tensors:
        raise StoreError(f"{path.name}: a shipped model must hold weights. Found a GGUF file without tensors.")
    arch = str(_field(reader, "general.architecture", ""))
    here = {tensor.name: tensor for tensor in reader.tensors}
    rename = _names(arch, int(_field(reader, f"{arch}.block_count", 0) or 0))
    found: dict[str, LazyWeight] = {}
    for name, _, _ in tensors_of(original):
        if (stored := rename(name)) in here:
            found[name] = _later(here.pop(stored), _heads(reader, arch, stored))
    for name, tensor in here.items():
        if name != "rope_freqs.weight":  # positions, a part of the architecture
            found[name] = _later(tensor, None)
    return found, sum(int(tensor.n_bytes) for tensor in reader.tensors)


def _names(arch: str, blocks: int) -> Callable[[str], str]:
    """Return the file's name of a parameter: the table of the architecture's, or the parameter's own."""
    import gguf

    known = {name: kind for kind, name in gguf.MODEL_ARCH_NAMES.items()}
    if arch not in known:
        return lambda name: name
    table = gguf.get_tensor_name_map(known[arch], blocks)

    def rename(name: str) -> str:
        for given in (name, f"model.{name}", name.removeprefix("base_model.model.")):
            if found := table.get_name(given, try_suffixes=(".weight", ".bias")):
                return str(found)
        return name

    return rename


def _heads(reader: Any, arch: str, stored: str) -> int | None:
    """Return how many heads the rows of a Llama's query or key are interleaved by."""
    if arch != "llama" or not (".attn_q." in stored or ".attn_k." in stored):
        return None
    heads = _field(reader, f"{arch}.attention.head_count", 0)
    return int(heads if ".attn_q." in stored else _field(reader, f"{arch}.attention.head_count_kv", heads)) or None


def _later(tensor: Any, heads: int | None) -> LazyWeight:
    def read() -> Weight:
        import gguf

        kind = tensor.tensor_type.name
        try:
            with np.errstate(all="ignore"):  # of damaged scales; infinite weights are refused by name
                numbers = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        except NotImplementedError:
            raise UnsupportedModel(
                f"GGUF tensor {tensor.name!r}: the package gguf must decode its type. It does not decode {kind}."
            ) from None
        shape = [int(size) for size in tensor.shape][::-1]
        value = torch.from_numpy(np.array(numbers, dtype=np.float32)).reshape(shape)
        form = "" if kind in UNCHANGED else f"GGUF {kind}"
        others = [Weight(value, None, form, "rows as they are")] if heads else []
        others += [Weight(value.T.contiguous(), None, form, "transposed")] if value.ndim == 2 else []
        others += [Weight(value - 1, None, form, "less one")] if value.ndim == 1 else []
        first = _in_halves(value, heads) if heads and len(value) % (2 * heads) == 0 else value
        return Weight(first, None, form, "", tuple(others))

    return read


def _in_halves(value: Tensor, heads: int) -> Tensor:
    """Undo the interleaving of rotary halves: rows (heads, half, 2) -> (heads, 2, half)."""
    return value.reshape(heads, len(value) // heads // 2, 2, *value.shape[1:]).swapaxes(1, 2).reshape(value.shape)
