"""What a model and a quantizer must be able to do; any object with these methods works, registered or not."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from leaq.types import Checkpoints, Role

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Model", "Quantizer"]


class Model(Protocol):
    """How stacked weights become outputs; the only thing evaluation needs to know about an architecture."""

    @property
    def roles(self) -> Mapping[str, Role]:
        """Role of every parameter, in forward order."""
        ...

    def forward(
        self, params: Mapping[str, "Tensor"], inputs: "Tensor", *, activation_bits: int | None = None
    ) -> "Tensor":
        """Run m stacked models: params ``(m, ...)`` on inputs ``(n, ...)`` or ``(m, n, ...)`` -> ``(m, n, k)``."""
        ...


class Quantizer(Protocol):
    """What every quantizer does; see `leaq.quantizers` for the registered ones."""

    def __call__(self, checkpoints: Checkpoints, calibration: Any = None) -> Checkpoints:
        """Return the same checkpoints with dequantized quantized weights; the input stays untouched."""
        ...

    def bits_per_weight(self, checkpoints: Checkpoints) -> Any:
        """Return packed and entropy bits per quantized weight, scales included."""
        ...

    def frozen_to(self, reference: Checkpoints) -> Any:
        """Return a quantizer whose scales are fixed to those of `reference` (batch ``(s,)``)."""
        ...

    def describe(self) -> str:
        """Say in one sentence what is quantized, and how."""
        ...
