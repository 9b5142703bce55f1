"""onnxruntime: the blocks of few bits that its MatMulNBits holds, as its quantizer rounds them without calibration."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np

from leaq.lazy import Tensor, torch
from leaq.quantizers.applying import Scales
from leaq.quantizers.backends.base import Affine, LibraryOutput
from leaq.quantizers.blocks import Per, into_blocks, whole
from leaq.quantizers.scheme import Needs

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


class OnnxBlocks(Affine):
    """Blocks of inputs with a scale of their own, 4 or 8 bits: MatMulNBits of ONNX files.

    The scale is the number of largest magnitude over the lowest code, so that it may be negative.

    Examples
    --------
    >>> OnnxBlocks().spec(), OnnxBlocks(block=128).label()
    ('onnxruntime.nbits(bits=4)', 'onnxruntime 4-bit blocks of 128')
    """

    name: ClassVar[str] = "onnxruntime.nbits"
    source: ClassVar[str] = "onnxruntime.quantization.matmul_nbits_quantizer, DefaultWeightOnlyQuantizer"
    examples: ClassVar[tuple[str, ...]] = ("onnxruntime.nbits(bits=4)", "onnxruntime.nbits(bits=4, symmetric=False)")
    wants: ClassVar[Needs] = Needs(extra="onnxruntime", device="CPU")
    always_named: ClassVar[frozenset[str]] = frozenset({"bits"})
    bits: Literal[4, 8] = 4
    block: Literal[16, 32, 64, 128, 256] = 32
    symmetric: bool = True

    @property
    def shared(self) -> tuple[Per, int]:
        return "group", self.block

    def run(self, weight: Tensor) -> LibraryOutput:
        """Codes, scales and zero points by onnxruntime's own function."""
        from onnxruntime.capi import _pybind_state as native

        rows = into_blocks(weight.unsqueeze(0), "group", self.block)[0]
        out, columns = weight.shape
        blocks, per = -(-columns // self.block), 8 // self.bits
        padded = np.zeros((blocks * self.block, out), dtype=np.float32)
        padded[:columns] = weight.numpy().T
        packed = np.zeros((out, blocks, self.block // per), dtype=np.uint8)
        zero = np.zeros((out, -(-blocks // per)), dtype=np.uint8)
        scale = np.zeros((out, blocks), dtype=np.float32)
        encode = native.quantize_matmul_4bits if self.bits == 4 else native.quantize_matmul_8bits
        encode(packed, padded, scale, zero, self.block, out, columns, self.symmetric)
        codes = torch.from_numpy(_codes(packed, self.bits)).reshape(rows.shape)
        step = torch.from_numpy(scale).reshape(-1, 1)
        scales = {"step": step}
        if not self.symmetric:
            scales["zero"] = torch.from_numpy(np.ascontiguousarray(_codes(zero, self.bits)[:, :blocks])).reshape(-1, 1)
        single = {key: value.unsqueeze(0) for key, value in scales.items()}
        back = (codes.float() - self._zero(single)[0]) * step
        shape = torch.Size((1, *weight.shape))
        found, value = (whole(part.unsqueeze(0), "group", shape)[0] for part in (codes, back))
        return LibraryOutput(found, scales, value)

    def nearest(self, weight: Tensor, scales: Scales) -> Tensor:
        step = scales["step"].masked_fill(scales["step"] == 0, 1)
        place = into_blocks(weight, "group", self.block).float() / step + self._zero(scales)
        return whole(place.round().clamp(0, self.levels - 1).to(torch.uint8), "group", weight.shape)

    def title(self) -> str:
        return f"onnxruntime {self.bits}-bit blocks of {self.block}{'' if self.symmetric else ' asymmetric'}"

    def explain(self) -> str:
        return f"onnxruntime rounds each Linear weight to {self.bits} bits, one scale per {self.block} inputs."


def _codes(packed: Bytes, bits: int) -> Bytes:
    """Spread bytes into codes along the last axis, lowest bits first."""
    if bits == 8:
        return packed
    return np.stack([packed & 15, packed >> 4], -1).reshape(*packed.shape[:-1], -1)
