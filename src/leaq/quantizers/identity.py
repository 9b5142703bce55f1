"""Full precision: the reference every drop and size is measured against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from leaq.lazy import Tensor
from leaq.quantizers.applying import Fitted, Scales, State, stacked
from leaq.quantizers.scheme import Scheme
from leaq.results import Size
from leaq.types import Checkpoints

if TYPE_CHECKING:
    from leaq.quantizers.calibration import Calibration


class Identity(Scheme):
    """Full precision: weights stay as they are.

    Examples
    --------
    >>> Identity().label(), Identity().codebook()
    ('full precision', 'continuous')
    """

    name: ClassVar[str] = "none"
    place: ClassVar[int] = -1
    source: ClassVar[str] = "IEEE 754 float32"
    examples: ClassVar[tuple[str, ...]] = ("none",)
    levels: ClassVar[int] = 2**32

    def codebook(self) -> Literal["continuous"]:
        return "continuous"

    def title(self) -> str:
        return "full precision"

    def explain(self) -> str:
        return "Weights stay floating-point numbers as they were trained."

    def plan(self, checkpoints: Checkpoints) -> dict[str, Scheme]:
        return {}

    def fit_model(self, checkpoints: Checkpoints, calibration: Calibration | None) -> State:
        """There are no scales."""
        return {}

    def fitted_to(self, reference: Checkpoints, calibration: Calibration | None = None) -> Fitted:
        """Return a quantizer that changes nothing; there are no scales to fix."""
        return _Unchanged(self, {}, reference.batch)


@dataclass(frozen=True)
class _Unchanged(Fitted):
    def __call__(
        self, checkpoints: Checkpoints, calibration: Calibration | None = None, *, finite: bool = False
    ) -> Checkpoints:
        return checkpoints

    def held(self, checkpoints: Checkpoints) -> Checkpoints:
        return checkpoints

    def codes(self, checkpoints: Checkpoints) -> dict[str, tuple[Tensor, Scales]]:
        return {}

    def size(self, reference: Checkpoints) -> Size:
        """All tensors as they are; their entropy is not estimated."""
        total = sum(stacked(reference, name)[0].numel() * t.element_size() for name, t in reference.params.items())
        bits = 8 * total / sum(stacked(reference, name)[0].numel() for name in reference.params)
        return Size(bits, bits, total, 1.0)

    def bits(self, reference: Checkpoints) -> tuple[float, float]:
        """Return the bits of a floating-point number, twice."""
        size = self.size(reference)
        return size.bits, size.entropy_bits
