"""The container of GGUF files: every count and size is held against the bytes that are there before it is used.

The package's own reader follows an array's length past the end of the file, for as long as the length says.
Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from leaq.errors import StoreError, need

SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
"""How a value of each type of the metadata is stored."""
STRING, ARRAY = 8, 9
LEAST = {STRING: 8, ARRAY: 12}
"""Bytes that the shortest of them takes."""
DEEPEST, MOST_AXES = 4, 8
"""Arrays in arrays, and axes of a tensor, beyond which a file counts as damaged; ggml itself has 4 axes."""
PLAIN = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I8": "<i1", "I16": "<i2", "I32": "<i4", "I64": "<i8"}
"""Types whose numbers are stored one by one; of all others the bytes are handed on."""


@dataclass(frozen=True)
class GgufTensor:
    """One tensor as it is stored.

    Attributes
    ----------
    kind : the package's `GGMLQuantizationType`.
    shape : outermost axis first.
    data : numbers, or of quantized types bytes, (..., bytes of a row); they stay in the file until they are read.
    """

    name: str
    kind: Any
    shape: tuple[int, ...]
    data: np.ndarray[Any, Any]


@dataclass(frozen=True)
class GgufFile:
    """What a GGUF file says about itself (arrays left out), and its tensors."""

    fields: Mapping[str, Any]
    tensors: tuple[GgufTensor, ...]

    @property
    def bytes(self) -> int:
        """What all tensors take."""
        return sum(int(tensor.data.nbytes) for tensor in self.tensors)


def let_go(tensor: GgufTensor) -> None:
    """Hand the pages of a tensor's file back to the system, which reads them again when they are used again.

    Pages of a mapped file that were looked at count as memory of this process.
    """
    place: Any = tensor.data
    while place is not None and not isinstance(place, mmap.mmap):
        place = getattr(place, "base", None)
    if place is not None and hasattr(mmap, "MADV_DONTNEED"):
        place.madvise(mmap.MADV_DONTNEED)


class _Damaged(Exception):
    """Why a file is none."""


def open_gguf(path: Path) -> GgufFile:
    """Return what a GGUF file holds, in time and memory that its own size bounds.

    Raises
    ------
    StoreError
        If it is no GGUF file, it ends early, or what it says of itself does not fit its bytes.
    """
    need("gguf", extra="gguf", purpose=f"Reading {path.name}")
    try:
        return _read(np.memmap(path, mode="r"))
    except (_Damaged, OSError, ValueError) as err:  # an empty file cannot be mapped
        raise StoreError(
            f"{path.name}: this is no readable GGUF file, or it ends early ({str(err) or 'no reason given'}). "
            "Download it again."
        ) from None


def _read(data: np.ndarray[Any, Any]) -> GgufFile:
    cursor = _Cursor(data)
    if cursor.bytes(4) != b"GGUF":
        raise _Damaged("it does not begin with GGUF")
    if (version := cursor.scalar("<I")) not in (2, 3):
        raise _Damaged(f"version 2 or 3 with little-endian numbers is read, found {version}")
    tensors, values = cursor.scalar("<Q"), cursor.scalar("<Q")
    cursor.holds(values, 13, "values")
    fields: dict[str, Any] = {}
    for _ in range(values):
        name = cursor.string()
        if name in fields:
            raise _Damaged(f"it names {name!r:.80} twice")
        fields[name] = cursor.value(cursor.scalar("<I"))
    cursor.holds(tensors, 24, "tensors")
    heads = [_head(cursor) for _ in range(tensors)]
    names: set[str] = set()
    for name, *_ in heads:
        if name in names:
            raise _Damaged(f"it names the tensor {name!r:.80} twice")
        names.add(name)
    alignment = fields.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
        raise _Damaged(f"the alignment must be a power of two, found {alignment!r:.80}")
    start = -(-cursor.at // alignment) * alignment
    return GgufFile(fields, tuple(_tensor(data, start, head) for head in heads))


def _head(cursor: "_Cursor") -> tuple[str, tuple[int, ...], int, int]:
    """Return a tensor's name, shape, number of its type, and where it begins."""
    name, axes = cursor.string(), cursor.scalar("<I")
    if axes > MOST_AXES:
        raise _Damaged(f"the tensor {name!r:.80} has {axes} axes")
    sizes = tuple(cursor.scalar("<Q") for _ in range(axes))
    return name, sizes[::-1], cursor.scalar("<I"), cursor.scalar("<Q")


def _tensor(data: np.ndarray[Any, Any], start: int, head: tuple[str, tuple[int, ...], int, int]) -> GgufTensor:
    import gguf

    name, shape, code, at = head
    try:
        kind = gguf.GGMLQuantizationType(code)
        block, size = gguf.GGML_QUANT_SIZES[kind]
    except (ValueError, KeyError):
        raise _Damaged(f"the tensor {name!r:.80} is of an unknown type, {code}") from None
    row = shape[-1] if shape else 1
    if row % block:
        raise _Damaged(f"rows of the tensor {name!r:.80} must be multiples of {block}, found {row}")
    taken, first = prod(shape) // block * size, start + at
    if 0 in shape or first + taken > len(data):
        raise _Damaged(f"the tensor {name!r:.80} of shape {shape} takes {taken} bytes from {first} of {len(data)}")
    stored = data[first : first + taken]
    if kind.name in PLAIN:
        return GgufTensor(name, kind, shape, stored.view(PLAIN[kind.name]).reshape(shape))
    return GgufTensor(name, kind, shape, stored.reshape(*shape[:-1], row // block * size))


class _Cursor:
    """A place in the bytes that never passes their end."""

    def __init__(self, data: np.ndarray[Any, Any]) -> None:
        self._data, self._end, self.at = data.data, len(data), 0

    def _pass(self, count: int) -> int:
        before = self.at
        if count > self._end - before:
            raise _Damaged(f"{count} bytes are claimed at {before} of {self._end}")
        self.at += count
        return before

    def holds(self, count: int, least: int, what: str) -> None:
        """Refuse a count of things that take more bytes than are left."""
        if count * least > self._end - self.at:
            raise _Damaged(f"{count} {what} are claimed at {self.at} of {self._end} bytes")

    def bytes(self, count: int) -> bytes:
        at = self._pass(count)
        return bytes(self._data[at : at + count])

    def scalar(self, form: str) -> Any:
        return struct.unpack_from(form, self._data, self._pass(struct.calcsize(form)))[0]

    def string(self) -> str:
        return self.bytes(self.scalar("<Q")).decode("utf-8", "replace")

    def value(self, kind: int, depth: int = 0) -> Any:
        """Return a number or a text; pass over an array, which is None."""
        if kind in SCALARS:
            return self.scalar(SCALARS[kind])
        if kind == STRING:
            return self.string()
        if kind != ARRAY or depth == DEEPEST:
            raise _Damaged(f"a value is of an unknown type, {kind}" if kind != ARRAY else "arrays lie too deep")
        inner, count = self.scalar("<I"), self.scalar("<Q")
        if inner in SCALARS:
            self._pass(count * struct.calcsize(SCALARS[inner]))
            return None
        self.holds(count, LEAST.get(inner, 1), "values of an array")
        for _ in range(count):
            if inner == STRING:
                self._pass(self.scalar("<Q"))
            else:
                self.value(inner, depth + 1)
        return None
