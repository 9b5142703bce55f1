"""onnxruntime: integers with one scale a tensor or channel, and the blocks of few bits that its MatMulNBits holds.

Both are rounded as its quantizers do without a look at records; the integers by arithmetic of ours.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np

from leaq.lazy import Tensor, torch
from leaq.quantizers.applying import Scales
from leaq.quantizers.backends.base import Affine, AffineRule, LibraryOutput
from leaq.quantizers.blocks import Per, into_blocks, whole
from leaq.quantizers.scheme import Needs
from leaq.types import Role

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


class OnnxIntegers(AffineRule):
    """Weights rounded as ``quantize_dynamic`` and ``quantize_static`` of onnxruntime do, with zero points or without.

    Scales are worked out in 64 bits and kept in 32; the range holds 0, which is a level.

    Parameters
    ----------
    type : of the codes, ``weight_type`` there.
    symmetric : None for what each type has by default: signed ones have no zero points.
    half : codes take half of the levels, ``reduce_range`` there.

    Examples
    --------
    >>> OnnxIntegers().spec(), OnnxIntegers(type="int8", per="channel", half=True).label()
    ('onnxruntime.quantize(type=uint8)', 'onnxruntime int8 per channel, half the levels')
    """

    name: ClassVar[str] = "onnxruntime.quantize"
    source: ClassVar[str] = "onnxruntime.quantization.quant_utils, compute_scale_zp and quantize_nparray"
    examples: ClassVar[tuple[str, ...]] = (
        "onnxruntime.quantize(type=uint8)",
        "onnxruntime.quantize(type=uint8, per=channel, half=True)",
        "onnxruntime.quantize(type=int8, half=True)",
        "onnxruntime.quantize(type=uint4, per=channel)",
    )
    roles: ClassVar[frozenset[Role]] = frozenset({"linear", "conv1d", "conv2d", "embedding"})
    always_named: ClassVar[frozenset[str]] = frozenset({"type"})
    type: Literal["int8", "uint8", "int4", "uint4"] = "uint8"
    per: Literal["tensor", "channel"] = "tensor"
    symmetric: bool | None = None
    half: bool = False

    @property
    def levels(self) -> int:
        return int(2 ** int(self.type[-1]))

    @property
    def shared(self) -> tuple[Per, int]:
        return self.per, 0

    @property
    def _around(self) -> bool:
        return not self.type.startswith("u") if self.symmetric is None else self.symmetric

    @property
    def _steps(self) -> int:
        """Steps between the ends of a range, of which 8 bits with a sign have one more or less than other types."""
        signed = self.type == "int8"
        return self.levels // 2 - (not signed) if self.half else self.levels - 1 - (signed and self._around)

    def scales_between(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor | None]:
        low, high = low.double().clamp_max(0), high.double().clamp_min(0)
        if self._around:
            high = torch.maximum(-low, high)
            low = -high
        step = (high - low) / self._steps
        none = step < torch.finfo(torch.float32).tiny
        step = torch.where(none, 1.0, step)
        return step.float(), None if self._around else torch.where(none, 0.0, (-low / step).round()).float()

    def rounded(self, blocks: Tensor, step: Tensor, zero: Tensor | None) -> Tensor:
        return (blocks / step).round() + (self.levels // 2 if zero is None else zero)

    def title(self) -> str:
        kind = "" if self.symmetric is None else " symmetric" if self.symmetric else " asymmetric"
        return (
            f"onnxruntime {self.type}{' per channel' * (self.per == 'channel')}{kind}{', half the levels' * self.half}"
        )

    def explain(self) -> str:
        kind, share = "symmetric" if self._around else "asymmetric", "half of the levels of " * self.half
        return f"onnxruntime rounds each weight to {share}{self.type[-1]} {kind} bits, one scale per {self.per}."


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
