"""What a quantizer must offer for its codes to be moved or enumerated."""

from collections.abc import Mapping
from typing import Any, Protocol

from leaq.errors import InvalidInput
from leaq.lazy import Tensor, torch
from leaq.types import Checkpoints


class Fittable(Protocol):
    """A quantizer, or one whose scales are fixed already: what ``fitted_to(released, calibration)`` returns."""

    def __call__(self, checkpoints: Checkpoints, calibration: Any = None) -> Checkpoints:
        """Quantize each checkpoint with its own scales, or with the fixed ones."""
        ...

    def fitted_to(self, reference: Checkpoints, calibration: Any = None) -> Any:
        """Return the quantizer with its scales fixed to those of `reference`."""
        ...


class Levels(Protocol):
    """How one tensor's integer codes become weights."""

    @property
    def by_rows(self) -> bool:
        """Whether the codes of an output channel depend on its own weights and scales alone."""
        ...

    @property
    def levels(self) -> int:
        """Number of different codes."""
        ...

    def dequantize(self, codes: "Tensor", scales: Any) -> "Tensor":
        """Return the weights the codes stand for."""
        ...


class Coded(Fittable, Protocol):
    """A quantizer with integer codes; all registered ones but full precision."""

    def plan(self, checkpoints: Checkpoints) -> Mapping[str, Any]:
        """Return how each quantized parameter's codes become weights: layers may differ."""
        ...

    def spec(self) -> str:
        """Return the text that builds the quantizer again."""
        ...


MOST_LEVELS = 2**16


def levels_of(quantizer: Coded, name: str, released: Checkpoints) -> tuple[Levels, int]:
    """Return the scheme that quantizes parameter `name` and its number of levels; refuses continuous weights."""
    scheme: Levels = quantizer.plan(released)[name]
    if not 2 <= scheme.levels <= MOST_LEVELS:
        raise InvalidInput(
            f"{quantizer.spec()}: candidates are made from codes, of which there must be 2 to {MOST_LEVELS:,}. "
            f"Found {scheme.levels:,} for {name!r}. Use trajectory candidates instead."
        )
    return scheme, scheme.levels


def weights_at(scheme: Levels, codes: "Tensor", scales: Any, *, shift: int, levels: int) -> "Tensor":
    """Return the weights with every code moved by `shift` levels, staying within the range."""
    wide = codes.to(torch.int16 if levels < MOST_LEVELS // 2 else torch.int32, copy=True)  # few bytes: models are large
    return scheme.dequantize(wide.add_(shift).clamp_(0, levels - 1).to(codes.dtype), scales)


def flat_models(released: Checkpoints, what: str) -> int:
    """Return the number of models s of released checkpoints; refuses any other batch than ``(s,)``."""
    if len(released.batch) != 1:
        raise InvalidInput(
            f"{what}: needs released models, batch (models,). Found batch {released.batch}. Take checkpoints.last()."
        )
    return released.batch[0]
