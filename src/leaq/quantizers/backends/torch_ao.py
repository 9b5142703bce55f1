"""torch.ao: the int8 weights of torch's own quantized layers, by the rules of its observers.

The arithmetic is torch's: a weight is multiplied by the inverse of its scale, which now and then rounds another way
than dividing would.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from leaq.lazy import Tensor, torch
from leaq.quantizers.backends.base import AffineRule
from leaq.quantizers.blocks import Per
from leaq.types import Role


class TorchAo(AffineRule):
    """Weights rounded as the observers of torch.ao.quantization ask for: one scale a tensor (qnnpack, dynamic) or row.

    The symmetric scale is the largest magnitude over 127.5, and codes are -128 to 127. Embeddings are asymmetric, with
    zero points that are no whole numbers (float_qparams), of 8 or 4 bits.

    Examples
    --------
    >>> TorchAo(per="channel").spec(), TorchAo(bits=4, per="channel", symmetric=False).label()
    ('torch.ao(bits=8, per=channel)', 'torch.ao 4-bit per channel asymmetric')
    """

    name: ClassVar[str] = "torch.ao"
    source: ClassVar[str] = "torch.ao.quantization.observer, MinMaxObserver and PerChannelMinMaxObserver"
    examples: ClassVar[tuple[str, ...]] = (
        "torch.ao(bits=8)",
        "torch.ao(bits=8, per=channel)",
        "torch.ao(bits=4, per=channel, symmetric=False)",
    )
    roles: ClassVar[frozenset[Role]] = frozenset({"linear", "conv1d", "conv2d", "embedding"})
    always_named: ClassVar[frozenset[str]] = frozenset({"bits"})
    bits: Literal[4, 8] = 8
    per: Literal["tensor", "channel"] = "tensor"
    symmetric: bool = True
    eps: float = Field(default=2.0**-23, gt=0)
    """Smallest scale; that of PT2E's configurations is 2^-12, 0.000244140625, which weights of wide layers reach."""

    @model_validator(mode="after")
    def _as_torch_has_them(self) -> TorchAo:
        if self.bits == 4 and self.symmetric:
            raise ValueError("torch.ao has symmetric codes of 8 bits only; use bits=8, or symmetric=False")
        return self

    @property
    def shared(self) -> tuple[Per, int]:
        return self.per, 0

    def scales_between(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor | None]:
        if self.symmetric:
            return (torch.maximum(-low, high) / ((self.levels - 1) / 2)).clamp_min(self.eps), None
        step = (high - low) / (self.levels - 1)
        step = torch.where(step > self.eps, step, 1.0)
        return step, -low / step

    def rounded(self, blocks: Tensor, step: Tensor, zero: Tensor | None) -> Tensor:
        inverse = 1 / step
        return (blocks * inverse).round() + self.levels // 2 if zero is None else (blocks * inverse + zero).round()

    def title(self) -> str:
        return (
            f"torch.ao {self.bits}-bit"
            + " per channel" * (self.per == "channel")
            + " asymmetric" * (not self.symmetric)
        )

    def explain(self) -> str:
        kind = "symmetric" if self.symmetric else "asymmetric"
        return f"torch.ao rounds each weight to {self.bits} {kind} bits, one scale per {self.per}."
