"""Codes in ONNX files: what they stand for, and what is told by them of the rule that made them."""

from typing import Any

import numpy as np

from leaq.models.formats.constants import Constant, decoded


def decoded_codes(codes: Any, scale: Any, zero: Any, *, axis: int, block: int = 0) -> Constant:
    """Return what codes stand for, with the form they are in; see `leaq.models.formats.constants.decoded`.

    Examples
    --------
    >>> codes = np.array([[3, -4]], np.int8)
    >>> decoded_codes(codes, np.float32(0.5), None, axis=0).form
    'ONNX int8 of half the levels per tensor'
    """
    if is_float8(codes.dtype):  # of 8 bits: levels are not even
        found = decoded(codes, scale, None, form=f"ONNX {codes.dtype.name}", axis=axis, block=block)
        return Constant(found.array, None, found.form)
    form = f"ONNX {_kind(codes, scale, zero)}" + f" in groups of {block}" * bool(block)
    return decoded(codes, scale, zero, form=form, axis=axis, block=block)


def _kind(codes: Any, scale: Any, zero: Any) -> str:
    """Say which integers codes are, and what tells the rule that made them.

    ``reduce_range`` of onnxruntime leaves the codes half of the levels, from 0 where they have no sign. These have zero
    points by default, which may be the middle; where those of all channels are, none was looked for.
    """
    name, (low, high) = np.dtype(codes.dtype).name, range_of(codes.dtype)
    middle = (high - low + 1) / 2
    least, most = (float(end) for end in (codes.min(), codes.max())) if codes.size else (low, high)
    half = -middle / 2 <= least and most <= middle / 2 if low else most <= middle
    at = np.asarray(0 if zero is None else zero).astype(np.float32)
    zeros = bool(low) and bool(at.any())
    symmetric = not low and at.size > 1 and bool((at == middle / (1 + half)).all())
    one = np.size(scale) == 1 and (name != "int8" or half or zeros)
    words = (
        (" of half the levels", half),
        (" with zero points", zeros),
        (", symmetric", symmetric),
        (" per tensor", one),
    )
    return str(name) + "".join(word for word, there in words if there)


def is_float8(kind: Any) -> bool:
    """Whether codes of a type are short floats, of which no level is in the middle of its neighbours."""
    return str(np.dtype(kind).name).startswith("float")


def range_of(kind: Any) -> tuple[float, float]:
    """Return the lowest and the highest code of a type of integers.

    Examples
    --------
    >>> range_of(np.uint8)
    (0.0, 255.0)
    """
    bits = {"int4": (-8, 7), "uint4": (0, 15)}.get(np.dtype(kind).name)
    return bits if bits else (float(np.iinfo(kind).min), float(np.iinfo(kind).max))
