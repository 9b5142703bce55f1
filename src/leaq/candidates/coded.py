"""What a quantizer must offer for its codes to be moved or enumerated."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from leaq.errors import InvalidInput
from leaq.types import Checkpoints

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Coded", "flat_models", "levels_of", "weights_at"]


class Coded(Protocol):
    """A quantizer with integer codes; all registered ones but full precision."""

    @property
    def levels(self) -> int:
        """Number of different codes."""
        ...

    def codes(self, checkpoints: Checkpoints) -> Mapping[str, tuple["Tensor", Mapping[str, Any]]]:
        """Return codes (b, *shape) and scales by parameter name."""
        ...

    def decode(self, codes: "Tensor", scales: Any) -> "Tensor":
        """Return the weights the codes stand for."""
        ...

    def frozen_to(self, reference: Checkpoints) -> Any:
        """Return the quantizer with its scales fixed to those of `reference`."""
        ...

    def spec(self) -> str:
        """Return the text that builds the quantizer again."""
        ...


MOST_LEVELS = 2**16


def levels_of(quantizer: Coded, name: str, released: Checkpoints) -> tuple[Coded, int]:
    """Return the scheme that quantizes parameter `name` and its number of levels; refuses continuous weights."""
    plan = getattr(quantizer, "plan", None)
    scheme: Coded = plan(released)[name] if plan is not None else quantizer
    if not 2 <= scheme.levels <= MOST_LEVELS:
        raise InvalidInput(
            f"{quantizer.spec()}: candidates are made from codes, of which there must be 2 to {MOST_LEVELS:,}. "
            f"Found {scheme.levels:,} for {name!r}. Use trajectory candidates instead."
        )
    return scheme, scheme.levels


def weights_at(scheme: Coded, codes: "Tensor", scales: Any, *, shift: int, levels: int) -> "Tensor":
    """Return the weights with every code moved by `shift` levels, staying within the range."""
    dtype = codes.dtype
    return scheme.decode((codes.long() + shift).clamp(0, levels - 1).to(dtype), scales)


def flat_models(released: Checkpoints, what: str) -> int:
    """Return the number of models s of released checkpoints; refuses any other batch than ``(s,)``."""
    if len(released.batch) != 1:
        raise InvalidInput(
            f"{what}: needs released models, batch (models,). Found batch {released.batch}. Take checkpoints.last()."
        )
    return released.batch[0]
