"""compressed-tensors: the integer formats of llm-compressor and vLLM, with scales by the package's own rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from leaq.errors import UnsupportedModel
from leaq.lazy import torch
from leaq.quantizers.applying import Scales
from leaq.quantizers.backends.base import Backend, LibraryOutput
from leaq.quantizers.blocks import into_blocks, whole
from leaq.quantizers.scheme import Needs

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CompressedTensors"]


class CompressedTensors(Backend):
    """Weights rounded as llm-compressor does without calibration: W4A16, W8A16 and their kin.

    Unlike `uniform`, a symmetric scale is the largest magnitude over (2^bits - 1) / 2, and the most negative code is
    used too.

    Examples
    --------
    >>> CompressedTensors().label()
    'compressed-tensors 4-bit groups of 128'
    """

    name: ClassVar[str] = "compressed_tensors"
    source: ClassVar[str] = "compressed_tensors, calculate_qparams and quantize; W4A16 is bits=4 in groups of 128"
    examples: ClassVar[tuple[str, ...]] = (
        "compressed_tensors(bits=4, per=channel)",
        "compressed_tensors(bits=8, per=channel, symmetric=False)",
    )
    wants: ClassVar[Needs] = Needs(extra="compressed_tensors", device="CPU")
    always_named: ClassVar[frozenset[str]] = frozenset({"bits"})
    bits: int = Field(default=4, ge=2, le=8)
    per: Literal["channel", "group"] = "group"
    group: int = Field(default=128, ge=2)
    symmetric: bool = True

    @property
    def levels(self) -> int:
        """2^bits."""
        return int(2**self.bits)

    def run(self, weight: Tensor) -> LibraryOutput:
        """Scales and codes by the package's own functions."""
        if self.per == "group" and weight.shape[1] % self.group:
            raise UnsupportedModel(
                f"{self.spec()}: compressed-tensors needs a group size that divides the layer's inputs. Found "
                f"{weight.shape[1]} inputs and groups of {self.group}. Use per=channel, or another group."
            )
        from compressed_tensors.quantization import QuantizationArgs
        from compressed_tensors.quantization.lifecycle.forward import dequantize, quantize
        from compressed_tensors.quantization.utils import calculate_qparams

        args = QuantizationArgs(
            num_bits=self.bits, type="int", strategy=self.per, symmetric=self.symmetric,
            group_size=self.group if self.per == "group" else None,
        )  # fmt: skip
        blocks = weight.reshape(len(weight), -1, self.group if self.per == "group" else weight.shape[1])
        step, zero = calculate_qparams(blocks.amin(-1), blocks.amax(-1), args)
        codes = quantize(x=weight, scale=step, zero_point=zero, args=args, dtype=torch.int8)
        back = dequantize(x_q=codes, scale=step, zero_point=zero, args=args)
        scales = {"step": step.clone()} | ({} if self.symmetric else {"zero": zero.to(torch.int8)})
        return LibraryOutput((codes.int() + self.levels // 2).to(torch.uint8), scales, back.float())

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        """(code - zero point) times scale."""
        steps = self._blocks(codes).to(scales["step"].dtype) - self.levels // 2
        return whole(((steps - self._zero(scales)) * scales["step"].unsqueeze(-1)).flatten(1, 2), self.per, codes.shape)

    def nearest(self, weight: Tensor, scales: Scales) -> Tensor:
        """Round to the nearest code."""
        half = self.levels // 2
        steps = (self._blocks(weight) / scales["step"].unsqueeze(-1)).round() + self._zero(scales)
        codes = (steps.clamp(-half, half - 1) + half).to(torch.uint8)
        return whole(codes.flatten(1, 2), self.per, weight.shape)

    def _zero(self, scales: Scales) -> Tensor:
        return scales["zero"].unsqueeze(-1).to(scales["step"].dtype) if "zero" in scales else torch.zeros(1)

    def _blocks(self, tensor: Tensor) -> Tensor:
        blocks = into_blocks(tensor, self.per, self.group)
        return blocks.reshape(*tensor.shape[:2], -1, blocks.shape[-1])  # (b, out, groups, size)

    def title(self) -> str:
        """Name the scheme."""
        where = "per channel" if self.per == "channel" else f"groups of {self.group}"
        return f"compressed-tensors {self.bits}-bit {where}{'' if self.symmetric else ' asymmetric'}"

    def explain(self) -> str:
        """Say what happens to the weights."""
        kind = "symmetric" if self.symmetric else "asymmetric"
        where = self.per if self.per == "channel" else f"group of {self.group}"
        return f"compressed-tensors rounds each Linear weight to {self.bits} {kind} bits, one scale per {where}."
