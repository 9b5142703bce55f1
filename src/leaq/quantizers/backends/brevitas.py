"""brevitas: the weights of its QuantLinear."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from leaq.lazy import Tensor, torch
from leaq.quantizers.applying import Scales
from leaq.quantizers.backends.base import Backend, LibraryOutput
from leaq.quantizers.scheme import Needs


class BrevitasInt(Backend):
    """brevitas' symmetric integers of 2 to 8 bits, as a QuantLinear exports them.

    One bit is left out: brevitas answers it with "QuantTensor not valid".
    """

    name: ClassVar[str] = "brevitas.int_weight"
    source: ClassVar[str] = "brevitas.nn.QuantLinear with Int8WeightPerChannelFloat or Int8WeightPerTensorFloat"
    examples: ClassVar[tuple[str, ...]] = ("brevitas.int_weight(bits=4)", "brevitas.int_weight(bits=8, per=tensor)")
    wants: ClassVar[Needs] = Needs(extra="brevitas")
    bits: int = Field(ge=2, le=8)
    per: Literal["tensor", "channel"] = "channel"

    @property
    def levels(self) -> int:
        """Symmetric and narrow: 2^bits - 1."""
        return int(2**self.bits) - 1

    def run(self, weight: Tensor) -> LibraryOutput:
        """Read integers and scale from the layer's quantized weight."""
        import brevitas.nn as qnn
        from brevitas.quant import Int8WeightPerChannelFloat, Int8WeightPerTensorFloat

        rule = Int8WeightPerChannelFloat if self.per == "channel" else Int8WeightPerTensorFloat
        layer = qnn.QuantLinear(
            weight.shape[1], weight.shape[0], bias=False, weight_quant=rule, weight_bit_width=self.bits
        )
        layer.weight.data = weight.clone()
        with torch.no_grad():
            quantized = layer.eval().quant_weight()
        codes = (quantized.int().int() + self.levels // 2).to(torch.uint8)
        scale = quantized.scale.detach().reshape(-1, 1).clone()  # (out or 1, 1)
        return LibraryOutput(codes, {"step": scale}, quantized.value.detach())

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        """Code times scale."""
        return (codes.to(scales["step"].dtype) - self.levels // 2) * scales["step"]

    def nearest(self, weight: Tensor, scales: Scales) -> Tensor:
        half = self.levels // 2
        return ((weight / scales["step"]).round().clamp(-half, half) + half).to(torch.uint8)

    def title(self) -> str:
        return f"brevitas {self.bits}-bit" + (" per channel" if self.per == "channel" else "")

    def explain(self) -> str:
        return f"brevitas rounds each Linear weight to {self.levels} even levels around 0, one scale per {self.per}."
