"""torchao: what its `quantize_` makes of a Linear."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from leaq.lazy import Tensor, torch
from leaq.quantizers.applying import Scales
from leaq.quantizers.backends.base import Affine, InOwnType, LibraryOutput
from leaq.quantizers.blocks import Per
from leaq.quantizers.float_formats import float8
from leaq.quantizers.scheme import Needs

SOURCE = "torchao, quantize_"


class _Torchao(InOwnType):
    wants: ClassVar[Needs] = Needs(extra="torchao", device="CPU")

    def configuration(self) -> Any:
        """Return torchao's own configuration object."""
        raise NotImplementedError

    def quantized(self, weight: Tensor) -> Any:
        """Return torchao's own tensor for one weight matrix."""
        from torchao.quantization import quantize_

        layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        layer.weight = torch.nn.Parameter(weight.clone(), requires_grad=False)
        holder = torch.nn.Sequential(layer)
        quantize_(holder, self.configuration())
        return holder[0].weight


class TorchaoIntx(_Torchao, Affine):
    """torchao's weight-only integers of 2 to 8 bits.

    One bit is accepted here and refused when it runs: torchao's int1 dequantizes every weight to 0.
    """

    name: ClassVar[str] = "torchao.intx_weight_only"
    source: ClassVar[str] = f"{SOURCE} with IntxWeightOnlyConfig"
    examples: ClassVar[tuple[str, ...]] = (
        "torchao.intx_weight_only(bits=4)",
        "torchao.intx_weight_only(bits=3, symmetric=False)",
        "torchao.intx_weight_only(bits=2)",
    )
    signed: ClassVar[bool] = True
    bits: int = Field(ge=1, le=8)
    per: Literal["channel", "group"] = "channel"
    group: int = Field(default=32, ge=2)
    symmetric: bool = True

    @property
    def shared(self) -> tuple[Per, int]:
        return self.per, self.group

    def configuration(self) -> Any:
        from torchao.quantization import IntxWeightOnlyConfig
        from torchao.quantization.granularity import PerAxis, PerGroup
        from torchao.quantization.quant_primitives import MappingType

        return IntxWeightOnlyConfig(
            weight_dtype=getattr(torch, f"int{self.bits}"),
            granularity=PerAxis(0) if self.per == "channel" else PerGroup(self.group),
            mapping_type=MappingType.SYMMETRIC if self.symmetric else MappingType.ASYMMETRIC,
        )

    def run(self, weight: Tensor) -> LibraryOutput:
        """Read qdata, scale and zero point from the library's tensor."""
        self.refuse_partial_group(weight, "torchao")
        tensor = self.quantized(weight)
        scales = {"step": tensor.scale.clone()} | ({} if self.symmetric else {"zero": tensor.zero_point.clone()})
        return self.own((tensor.qdata.int() + self.levels // 2).to(torch.uint8), scales, tensor.dequantize())

    def title(self) -> str:
        per = "per channel" if self.per == "channel" else f"groups of {self.group}"
        return f"torchao {self.bits}-bit {per}" + ("" if self.symmetric else " asymmetric")

    def explain(self) -> str:
        kind = "symmetric" if self.symmetric else "asymmetric"
        return f"torchao rounds each Linear weight to {self.bits}-bit integers ({kind}), one scale per {self.per}."


class TorchaoInt8(TorchaoIntx):
    """torchao's int8 weights, one scale per output channel."""

    name: ClassVar[str] = "torchao.int8_weight_only"
    source: ClassVar[str] = f"{SOURCE} with Int8WeightOnlyConfig"
    examples: ClassVar[tuple[str, ...]] = ("torchao.int8_weight_only",)
    bits: Literal[8] = 8
    per: Literal["channel"] = "channel"
    symmetric: Literal[True] = True

    def configuration(self) -> Any:
        from torchao.quantization import Int8WeightOnlyConfig

        return Int8WeightOnlyConfig()

    def title(self) -> str:
        return "torchao int8"


class TorchaoInt8Dynamic(TorchaoInt8):
    """torchao's int8 weights with activations rounded to 8 bits as they come.

    The weights are torchao's. The activations are rounded by leaq, record by record, the largest value being 127
    steps; torchao has 127.5, so that outputs differ by about the rounding itself.
    """

    name: ClassVar[str] = "torchao.int8_dynamic_activation_int8_weight"
    source: ClassVar[str] = f"{SOURCE} with Int8DynamicActivationInt8WeightConfig"
    examples: ClassVar[tuple[str, ...]] = ("torchao.int8_dynamic_activation_int8_weight",)
    activations: int | None = Field(default=8, ge=8, le=8)

    def configuration(self) -> Any:
        from torchao.quantization import Int8DynamicActivationInt8WeightConfig

        return Int8DynamicActivationInt8WeightConfig()


class TorchaoFloat8(_Torchao):
    """torchao's float8 weights, one scale per output channel."""

    name: ClassVar[str] = "torchao.float8_weight_only"
    source: ClassVar[str] = f"{SOURCE} with Float8WeightOnlyConfig"
    examples: ClassVar[tuple[str, ...]] = (
        "torchao.float8_weight_only(format=e4m3)",
        "torchao.float8_weight_only(format=e5m2)",
    )
    always_named: ClassVar[frozenset[str]] = frozenset({"format"})
    format: Literal["e4m3", "e5m2"] = "e4m3"
    levels: ClassVar[int] = 2**8

    def configuration(self) -> Any:
        from torchao.quantization import Float8WeightOnlyConfig

        return Float8WeightOnlyConfig(weight_dtype=float8(self.format))

    def run(self, weight: Tensor) -> LibraryOutput:
        """Read qdata and scale from the library's tensor."""
        tensor = self.quantized(weight)
        return self.own(tensor.qdata.view(torch.uint8), {"step": tensor.scale.clone()}, tensor.dequantize())

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        """Read the bit pattern, times the scale."""
        return codes.view(float8(self.format)).float() * scales["step"].float()

    def nearest(self, weight: Tensor, scales: Scales) -> Tensor:
        """Cast after scaling."""
        dtype = float8(self.format)
        most = torch.finfo(dtype).max
        return (weight / scales["step"]).clamp(-most, most).to(dtype).view(torch.uint8)

    def title(self) -> str:
        return f"torchao float8 {self.format}"

    def explain(self) -> str:
        return f"torchao casts each Linear weight to float8 {self.format}, one scale per output channel."
