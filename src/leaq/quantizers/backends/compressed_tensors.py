"""compressed-tensors: the formats of llm-compressor and vLLM, with scales by the package's own rule."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from leaq.lazy import Tensor, torch
from leaq.quantizers.applying import Scales
from leaq.quantizers.backends.base import Affine, InOwnType, LibraryOutput
from leaq.quantizers.blocks import Per, into_blocks
from leaq.quantizers.scheme import Needs

E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
"""Magnitudes of 4-bit floats by code; the fourth bit is the sign. Source: OCP Microscaling Formats 1.0, table 4."""
GROUPS = {"nvfp4": 16, "mxfp4": 32}
BLOCK = 128
"""Outputs and inputs of a block of FP8 that shares a scale."""


class CompressedTensors(InOwnType, Affine):
    """Weights rounded as llm-compressor does without calibration: W4A16, W8A16 and their kin.

    Unlike `uniform`, a symmetric scale is the largest magnitude over (2^bits - 1) / 2, and the most negative code is
    used too.
    """

    name: ClassVar[str] = "compressed_tensors"
    source: ClassVar[str] = "compressed_tensors, calculate_qparams and quantize; W4A16 is bits=4 in groups of 128"
    examples: ClassVar[tuple[str, ...]] = (
        "compressed_tensors(bits=4, per=channel)",
        "compressed_tensors(bits=8, per=channel, symmetric=False)",
    )
    wants: ClassVar[Needs] = Needs(extra="compressed_tensors", device="CPU")
    always_named: ClassVar[frozenset[str]] = frozenset({"bits"})
    signed: ClassVar[bool] = True
    bits: int = Field(default=4, ge=2, le=8)
    per: Per = "group"
    group: int = Field(default=128, ge=2)
    symmetric: bool = True

    @property
    def shared(self) -> tuple[Per, int]:
        return self.per, self.group

    def run(self, weight: Tensor) -> LibraryOutput:
        """Scales and codes by the package's own functions."""
        self.refuse_partial_group(weight, "compressed-tensors")
        from compressed_tensors.quantization import QuantizationArgs
        from compressed_tensors.quantization.lifecycle.forward import dequantize, quantize
        from compressed_tensors.quantization.utils import calculate_qparams

        args = QuantizationArgs(
            num_bits=self.bits, type="int", strategy=self.per, symmetric=self.symmetric,
            group_size=self.group if self.per == "group" else None,
        )  # fmt: skip
        blocks = into_blocks(weight.unsqueeze(0), *self.shared)
        blocks = blocks.reshape(1 if self.per == "tensor" else len(weight), -1, blocks.shape[-1])
        step, zero = calculate_qparams(blocks.amin(-1), blocks.amax(-1), args)
        codes = quantize(x=weight, scale=step, zero_point=zero, args=args, dtype=torch.int8)
        back = dequantize(x_q=codes, scale=step, zero_point=zero, args=args)
        scales = {"step": step.clone()} | ({} if self.symmetric else {"zero": zero.to(torch.int8)})
        return self.own((codes.int() + self.levels // 2).to(torch.uint8), scales, back.float())

    def title(self) -> str:
        where = f"groups of {self.group}" if self.per == "group" else f"per {self.per}"
        return f"compressed-tensors {self.bits}-bit {where}{'' if self.symmetric else ' asymmetric'}"

    def explain(self) -> str:
        kind = "symmetric" if self.symmetric else "asymmetric"
        where = f"group of {self.group}" if self.per == "group" else self.per
        return f"compressed-tensors rounds each Linear weight to {self.bits} {kind} bits, one scale per {where}."


class CompressedFloats(InOwnType):
    """Weights rounded to small floats: FP8 with a scale per channel, tensor or block, NVFP4, MXFP4.

    NVFP4 has a scale in 8-bit floating point per 16 inputs and one for the tensor; MXFP4 a power of two per 32. Rows
    that are no whole groups are filled up with copies of their last weight, which the package itself refuses.

    Examples
    --------
    >>> CompressedFloats(format="nvfp4").spec(), CompressedFloats(per="tensor").label()
    ('compressed_tensors.float(format=nvfp4)', 'compressed-tensors FP8 per tensor')
    """

    name: ClassVar[str] = "compressed_tensors.float"
    source: ClassVar[str] = "compressed_tensors, calculate_qparams and quantize"
    examples: ClassVar[tuple[str, ...]] = (
        "compressed_tensors.float(format=fp8)",
        "compressed_tensors.float(format=nvfp4)",
        "compressed_tensors.float(format=mxfp4)",
    )
    wants: ClassVar[Needs] = Needs(extra="compressed_tensors", device="CPU")
    always_named: ClassVar[frozenset[str]] = frozenset({"format"})
    stored: ClassVar[frozenset[str]] = frozenset({"step", "local", "exponent", "whole"})
    format: Literal["fp8", "nvfp4", "mxfp4"] = "fp8"
    per: Literal["channel", "tensor", "block"] = "channel"
    """What shares a scale of FP8; a block is 128 outputs times 128 inputs."""

    @property
    def levels(self) -> int:
        return 256 if self.format == "fp8" else 16

    def run(self, weight: Tensor) -> LibraryOutput:
        """Scales and codes by the package's own functions."""
        from compressed_tensors.quantization import QuantizationArgs
        from compressed_tensors.quantization.lifecycle.forward import dequantize, quantize
        from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam

        columns, weight = weight.shape[1], self._filled(weight)
        args = QuantizationArgs(**self._arguments())
        whole_scale = generate_gparam(weight.amin(), weight.amax()) if self.format == "nvfp4" else None
        low, high = self._extremes(weight)
        step, zero = calculate_qparams(low, high, args, global_scale=whole_scale)
        given = quantize(x=weight, scale=step, zero_point=zero, args=args, global_scale=whole_scale)
        back = dequantize(x_q=given, scale=step.float(), args=args, global_scale=whole_scale, dtype=torch.float32)
        back = back[:, :columns]
        if self.format == "fp8":
            return self.own(given.to(torch.float8_e4m3fn).view(torch.uint8), {"step": step.clone()}, back)
        codes = self._codes(given)[:, :columns]
        if whole_scale is None:
            return LibraryOutput(codes, {"exponent": (step.float().log2().round() + 127).to(torch.uint8)}, back)
        return LibraryOutput(codes, {"local": step.to(torch.float8_e4m3fn), "whole": whole_scale.clone()}, back)

    def _filled(self, weight: Tensor) -> Tensor:
        """Fill up rows to whole groups."""
        if self.format == "fp8":
            return weight
        return into_blocks(weight.unsqueeze(0), "group", GROUPS[self.format]).reshape(len(weight), -1)

    def _arguments(self) -> dict[str, object]:
        if self.format == "fp8":
            block = {"block_structure": [BLOCK, BLOCK]} if self.per == "block" else {}
            return {"num_bits": 8, "type": "float", "strategy": self.per, "symmetric": True, **block}
        nvidia = self.format == "nvfp4"
        return {
            "num_bits": 4, "type": "float", "symmetric": True, "group_size": GROUPS[self.format],
            "strategy": "tensor_group" if nvidia else "group",
            "scale_dtype": torch.float8_e4m3fn if nvidia else torch.uint8,
        }  # fmt: skip

    def _extremes(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return the lowest and highest weight of whatever shares a scale, in the shape of the scales."""
        if self.format != "fp8":
            blocks = weight.reshape(len(weight), -1, GROUPS[self.format])
            return blocks.amin(-1), blocks.amax(-1)
        if self.per == "tensor":
            return weight.amin().reshape(1), weight.amax().reshape(1)
        if self.per == "channel":
            return weight.amin(1, keepdim=True), weight.amax(1, keepdim=True)
        rows, columns = (-(-size // BLOCK) for size in weight.shape)
        found = torch.zeros(2, rows, columns)
        for i in range(rows):
            for j in range(columns):
                part = weight[i * BLOCK : (i + 1) * BLOCK, j * BLOCK : (j + 1) * BLOCK]
                found[:, i, j] = torch.stack([part.amin(), part.amax()])
        return found[0], found[1]

    def _codes(self, values: Tensor) -> Tensor:
        """Return the code of the nearest of the 16 numbers; half-way the one with the even code."""
        size = values.abs()
        levels = torch.tensor(E2M1, dtype=size.dtype, device=size.device)
        middles = (levels[1:] + levels[:-1]) / 2
        low, high = torch.bucketize(size, middles), torch.bucketize(size, middles, right=True)
        codes = torch.where(low % 2 == 0, low, high)
        return (codes + 8 * values.signbit()).to(torch.uint8)

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        """Read the bit pattern, times its scale."""
        wide = self._wide(scales, codes.shape)
        if self.format == "fp8":
            return codes.view(torch.float8_e4m3fn).to(torch.float32) * wide
        table = torch.tensor((*E2M1, *(-level for level in E2M1)), device=codes.device)
        return table[codes.long()] * wide

    def nearest(self, weight: Tensor, scales: Scales) -> Tensor:
        place = weight / self._wide(scales, weight.shape)
        if self.format != "fp8":
            return self._codes(place.clamp(-E2M1[-1], E2M1[-1]))
        most = torch.finfo(torch.float8_e4m3fn).max
        return place.clamp(-most, most).to(torch.float8_e4m3fn).view(torch.uint8)

    def _wide(self, scales: Scales, shape: torch.Size) -> Tensor:
        """Return the scale of every weight (b, out, in), or what broadcasts to that."""
        if self.format == "fp8":
            step = scales["step"].float()
            if self.per == "tensor":
                return step.reshape(-1, 1, 1)
            if self.per == "channel":
                return step
            spread = step.repeat_interleave(BLOCK, 1).repeat_interleave(BLOCK, 2)
            return spread[:, : shape[1], : shape[2]]
        if self.format == "mxfp4":
            step = torch.exp2(scales["exponent"].float() - 127)
        else:
            step = scales["local"].float() / scales["whole"].reshape(-1, 1, 1)
        return step.repeat_interleave(GROUPS[self.format], 2)[..., : shape[2]]

    def title(self) -> str:
        return f"compressed-tensors {self.format.upper()}" + f" per {self.per}" * (self.per != "channel")

    def explain(self) -> str:
        where = f"{GROUPS[self.format]} inputs" if self.format != "fp8" else self.per
        return f"compressed-tensors casts each Linear weight to {self.format.upper()}, a scale per {where}."
