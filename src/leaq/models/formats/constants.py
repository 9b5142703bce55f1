"""Constants of a program's graph: numbers, or codes with scales, as an operator multiplies with them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from leaq.models.formats.levels import Levels
from leaq.models.formats.weight import Weight


@dataclass(frozen=True)
class Constant:
    """A constant of a graph: its numbers, and the distance of their levels where they were codes."""

    array: np.ndarray[Any, Any]
    step: np.ndarray[Any, Any] | None = None
    form: str = ""

    def weight(self, *, turned: bool = False, given: Levels | None = None, gives: Levels | None = None) -> Weight:
        """Return it as a weight in torch's orientation, `turned` if it is stored (in, out); else see `Weight`."""
        array, step = self.array, self.step
        if turned and array.ndim == 2:
            array, step = array.T, None if step is None else step.T
        with np.errstate(all="ignore"):  # of numbers beyond what 32 bits hold; infinite weights are refused by name
            numbers = torch.tensor(np.ascontiguousarray(array, dtype=np.float32))
            wide = None if step is None else torch.tensor(np.ascontiguousarray(step, dtype=np.float32))
        return Weight(numbers, wide, self.form, given=given, gives=gives)

    def moved(self, move: Any) -> "Constant":
        """Return it with its axes moved: `move` takes an array and gives one of as many numbers."""
        step = None if self.step is None else move(np.broadcast_to(self.step, self.array.shape))
        return Constant(move(self.array), step, self.form)


def decoded(codes: Any, scale: Any, zero: Any, *, form: str, axis: int, block: int = 0) -> Constant:
    """Decode (code - zero) * scale, the scales along an axis. Source: ONNX DequantizeLinear.

    Examples
    --------
    >>> decoded(np.array([[1, 2]]), np.array([0.5, 0.25]), None, form="ONNX int8", axis=1).array.tolist()
    [[0.5, 0.5]]
    """
    wide = along(np.asarray(scale, dtype=np.float32), codes.shape, axis, block)
    offset = 0.0 if zero is None else along(np.asarray(zero).astype(np.float32), codes.shape, axis, block)
    value = (codes.astype(np.float32) - offset) * wide
    return Constant(value, np.broadcast_to(wide, codes.shape), form)


def along(values: Any, shape: tuple[int, ...], axis: int, block: int) -> Any:
    """Return values in the shape of what they belong to along an axis, each to a block of numbers where there are some.

    Examples
    --------
    >>> along(np.array([1, 2, 3]), (3, 2), 0, 0).tolist()
    [[1], [2], [3]]
    """
    if values.size == 1:
        return values.reshape([1] * len(shape))
    if block:
        return values.take(np.arange(shape[axis]) // block, axis=axis)
    if values.ndim > 1:
        return np.broadcast_to(values, shape)
    to = [1] * len(shape)
    to[axis] = values.size
    return values.reshape(to)


def bits_of(packed: Any, bits: int, count: int, *, signed: bool = False) -> Any:
    """Spread rows of bytes (rows, bytes) into codes (rows, count), lowest bits first.

    Examples
    --------
    >>> bits_of(np.array([[0x21, 0xF3]], np.uint8), 4, 4).tolist()
    [[1, 2, 3, 15]]
    >>> bits_of(np.array([[0xF3]], np.uint8), 4, 2, signed=True).tolist()
    [[3, -1]]
    """
    per = 8 // bits
    shifts = np.arange(per) * bits
    codes = (packed.astype(np.int64)[..., None] >> shifts) & (2**bits - 1)
    if signed:
        codes = codes - ((codes >> (bits - 1)) << bits)
    return codes.reshape(len(packed), -1)[:, :count]
