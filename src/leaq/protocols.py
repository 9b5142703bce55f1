"""What a model, a quantizer and a shelf must be able to do; any object with these methods works."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from leaq.results import Size
from leaq.types import Checkpoints, LossTable, Role

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["EmptyShelf", "Layered", "Model", "Quantizer", "Shelf"]


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


@runtime_checkable
class Layered(Protocol):
    """A model that tells what each layer is given: what calibrated quantizers need beside `Model`."""

    @property
    def homogeneous(self) -> Sequence[tuple[str, str]]:
        """Pairs of weights with only a bias and an activation with f(s x) = s f(x), s > 0, between them (ReLU)."""
        ...

    def layer_inputs(self, params: Mapping[str, "Tensor"], inputs: "Tensor") -> Mapping[str, "Tensor"]:
        """Return the vectors each weight is multiplied with: inputs ``(m, r, ...)`` -> ``(m, r', in)`` by weight.

        `in` counts the flattened input axes of the weight. A convolution sees r' = r times its positions, those of
        one record side by side. Weights that are looked up (embeddings) are left out.
        """
        ...


class Quantizer(Protocol):
    """What every quantizer does; see `leaq.quantizers` for the registered ones."""

    def __call__(self, checkpoints: Checkpoints, calibration: Any = None) -> Checkpoints:
        """Return the same checkpoints with dequantized quantized weights; the input stays untouched."""
        ...

    def bits_per_weight(self, checkpoints: Checkpoints) -> Any:
        """Return packed and entropy bits per quantized weight, scales included."""
        ...

    def frozen_to(self, reference: Checkpoints, calibration: Any = None) -> Any:
        """Return a quantizer whose scales are fixed to those of `reference` (batch ``(s,)``)."""
        ...

    def describe(self) -> str:
        """Say in one sentence what is quantized, and how."""
        ...


class Shelf(Protocol):
    """Where finished chunks of models are kept, so that interrupted work resumes."""

    def get(self, key: str) -> dict[str, tuple[LossTable, Size]] | None:
        """Return what was put under `key`: table and size by quantizer specification."""
        ...

    def put(self, key: str, found: Mapping[str, tuple[LossTable, Size]]) -> None:
        """Keep a finished chunk."""
        ...


class EmptyShelf:
    """Keeps nothing; the default where no run folder is named."""

    def get(self, key: str) -> dict[str, tuple[LossTable, Size]] | None:
        """Find nothing."""
        return None

    def put(self, key: str, found: Mapping[str, tuple[LossTable, Size]]) -> None:
        """Forget it."""
