"""Codes packed into words, and codes with the scales of their blocks."""

from collections.abc import Iterator
from math import ceil

import torch
from torch import Tensor

from leaq.models.formats.weight import Weight

USUAL = (16, 32, 64, 128, 256)
"""Numbers that share a scale in what people ship."""


def unpack_words(words: Tensor, bits: int, count: int) -> Tensor:
    """Return the codes of a stream of bits along the first axis, lowest bits first; codes may cross words.

    Parameters
    ----------
    words : (w, ...) 32-bit words.
    count : codes to return, (count, ...).

    Examples
    --------
    >>> unpack_words(torch.tensor([0b100_011_010_001], dtype=torch.int32), 3, 4).tolist()
    [1, 2, 3, 4]
    """
    wide = words.long() & 0xFFFFFFFF
    wide = torch.cat([wide, torch.zeros_like(wide[:1])])
    at = torch.arange(count) * bits
    first, shift = at // 32, (at % 32).reshape(-1, *[1] * (words.ndim - 1))
    joined = wide[first] | (wide[first + 1] << 32)  # a code reaches at most into the next word
    codes: Tensor = (joined >> shift) & (2**bits - 1)
    return codes


def blocks_of(scale: Tensor, shape: torch.Size) -> Iterator[Tensor]:
    """Yield every way in which scales belong to blocks of equal size of a weight, broadcast to its shape.

    A single vector of a square matrix may belong to its rows or to its columns; rows come first.

    Examples
    --------
    >>> [tuple(found[:, 0].tolist()) for found in blocks_of(torch.tensor([1., 2.]), torch.Size([2, 2]))]
    [(1.0, 2.0), (1.0, 1.0)]
    """
    if scale.numel() == 1:
        yield scale.reshape([1] * len(shape)).expand(shape)
        return
    seen: list[torch.Size] = []
    views = [scale] if scale.ndim == len(shape) else []
    if scale.ndim == 1 or scale.numel() == max(scale.shape):
        flat = scale.flatten()
        views += [flat.reshape([-1 if i == axis else 1 for i in range(len(shape))]) for axis in range(len(shape))]
    views += [scale.reshape(*scale.shape, *[1] * (len(shape) - scale.ndim))] if 1 < scale.ndim < len(shape) else []
    for view in views:
        if view.shape in seen or not all(0 < blocks <= size for blocks, size in zip(view.shape, shape, strict=True)):
            continue
        seen.append(view.shape)
        blocks = [_block(size, count) for count, size in zip(view.shape, shape, strict=True)]
        if all(blocks):
            wide = view
            for axis, (block, size) in enumerate(zip(blocks, shape, strict=True)):
                wide = wide.repeat_interleave(block, axis).narrow(axis, 0, size)
            yield wide


def _block(size: int, blocks: int) -> int:
    """Return the size of the blocks that cover an axis, 0 if none does; only usual sizes may end in a shorter one."""
    if size % blocks == 0:
        return size // blocks
    return next((block for block in USUAL if ceil(size / block) == blocks), 0)


def scaled(codes: Tensor, scale: Tensor, zero: Tensor | None = None, *, form: str) -> Weight | None:
    """Return (codes - zero) * scale, by every way the scales may belong; None if they cannot.

    Some producers store the scale's inverse: that is the other convention. Scales in bytes are powers of two (E8M0 of
    OCP Microscaling Formats 1.0), by their exponent plus 127.
    """
    numbers, evenly = codes.float(), not codes.is_floating_point()
    scale = torch.exp2(scale.float() - 127) if scale.dtype == torch.uint8 else scale
    found = []
    offsets = [None] if zero is None else list(blocks_of(zero.float(), codes.shape))
    for i, wide in enumerate(blocks_of(scale.float(), codes.shape)):
        offset = None if not offsets else offsets[min(i, len(offsets) - 1)]
        shifted = numbers if offset is None else numbers - offset
        found.append(Weight(shifted * wide, wide if evenly else None, form, f"scales along axis {i}"))
        inverse = 1 / wide
        found.append(Weight(shifted * inverse, inverse if evenly else None, form, "divided by the scales"))
    if not found:
        return None
    first, *others = (one for one in found if torch.isfinite(one.value).all())
    return Weight(first.value, first.step, form, first.convention, tuple(others))
