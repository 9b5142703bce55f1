"""GGUF files of llama.cpp and ggml: every type that the `gguf` package decodes, under the original's names.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; names by the package's table of each architecture.
"""

from collections.abc import Callable
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from leaq.errors import StoreError, UnsupportedModel
from leaq.models.formats.gguf_file import GgufFile, GgufTensor, open_gguf
from leaq.models.formats.layout import Container
from leaq.models.formats.shards import numbered
from leaq.models.formats.weight import LazyWeight, Weight
from leaq.models.roles import tensors_of

UNCHANGED = frozenset({"F32", "F16", "F64", "BF16"})
"""Types that are no quantization."""


def describe_gguf(path: Path) -> str:
    """Say what a GGUF file holds: architecture, number of tensors, their types.

    Raises
    ------
    StoreError
        If it is no GGUF file.
    """
    file = open_gguf(path)
    kinds: dict[str, int] = {}
    for tensor in file.tensors:
        kinds[tensor.kind.name] = kinds.get(tensor.kind.name, 0) + 1
    types = ", ".join(f"{count} {name}" for name, count in sorted(kinds.items()))
    return f"a GGUF file of architecture {file.fields.get('general.architecture')!r:.80} with {types or 'no'} tensors"


def is_language_gguf(path: Path) -> bool:
    """Whether a GGUF file says that it is a language model of an architecture that llama.cpp knows."""
    file = open_gguf(path)
    import gguf

    return file.fields.get("general.architecture") in gguf.MODEL_ARCH_NAMES.values()


def read_gguf(path: Path, original: nn.Module) -> tuple[dict[str, LazyWeight], int]:
    """Return the weights of a GGUF file under the original's names where they have one there, and their bytes.

    Raises
    ------
    StoreError
        If it is no GGUF file, or it ends early.
    """
    files = [open_gguf(part) for part in numbered(path)]
    file = files[0]  # the first of several says what all are
    here = {tensor.name: tensor for part in files for tensor in part.tensors}
    if not here:
        raise StoreError(f"{path.name}: a shipped model must hold weights. Found a GGUF file without tensors.")
    if (count := _count(file, "split.count")) > len(files):
        raise StoreError(
            f"{path.name}: it says that it is one of {count} files, and its name does not say which. Name them as they "
            f"were, such as {path.stem}-00001-of-{count:05d}.gguf."
        )
    arch = str(file.fields.get("general.architecture", ""))
    rename = _names(arch, min(_count(file, f"{arch}.block_count"), len(here)))
    found: dict[str, LazyWeight] = {}
    for name, _, _ in tensors_of(original):
        if (stored := rename(name)) in here:
            found[name] = _later(here.pop(stored), _heads(file, arch, stored))
    for name, tensor in here.items():
        if name != "rope_freqs.weight":  # positions, a part of the architecture
            found[name] = _later(tensor, 0)
    return found, sum(part.bytes for part in files)


def _count(file: GgufFile, name: str) -> int:
    """Return a number of things, 0 where the file names none."""
    value = file.fields.get(name)
    return value if isinstance(value, int) and value > 0 else 0


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


def _heads(file: GgufFile, arch: str, stored: str) -> int:
    """Return how many heads the rows of a Llama's query or key are interleaved by, 0 if they are not."""
    if arch != "llama" or not (".attn_q." in stored or ".attn_k." in stored):
        return 0
    heads = _count(file, f"{arch}.attention.head_count")
    return heads if ".attn_q." in stored else _count(file, f"{arch}.attention.head_count_kv") or heads


def _later(tensor: GgufTensor, heads: int) -> LazyWeight:
    def read() -> Weight:
        import gguf

        kind = tensor.kind.name
        try:
            with np.errstate(all="ignore"):  # of damaged scales; infinite weights are refused by name
                numbers = gguf.quants.dequantize(tensor.data, tensor.kind)
        except NotImplementedError:
            raise UnsupportedModel(
                f"GGUF tensor {tensor.name!r}: the package gguf must decode its type. It does not decode {kind}."
            ) from None
        own = numbers if numbers.dtype == np.float32 and numbers.flags.owndata else np.array(numbers, dtype=np.float32)
        value = torch.from_numpy(own).reshape(tensor.shape)
        form = "" if kind in UNCHANGED else f"GGUF {kind}"
        others = [Weight(value, None, form, "rows as they are")] if heads else []
        others += [Weight(value.T, None, form, "transposed")] if value.ndim == 2 else []
        others += [Weight(value - 1, None, form, "less one")] if value.ndim == 1 else []
        first = _in_halves(value, heads) if heads and len(value) % (2 * heads) == 0 else value
        return Weight(first, None, form, "", tuple(others))

    shape = tensor.shape
    return LazyWeight(read, (shape, shape[::-1]) if len(shape) == 2 else (shape,))


def _in_halves(value: Tensor, heads: int) -> Tensor:
    """Undo the interleaving of rotary halves: rows (heads, half, 2) -> (heads, 2, half)."""
    return value.reshape(heads, len(value) // heads // 2, 2, *value.shape[1:]).swapaxes(1, 2).reshape(value.shape)


def _numbers(path: Path) -> int:
    return sum(prod(tensor.shape) for part in numbered(path) for tensor in open_gguf(part).tensors)


CONTAINER = Container(b"GGUF", ".gguf", read_gguf, describe_gguf, _numbers)
