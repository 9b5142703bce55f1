"""Full precision: the reference every drop and size is measured against."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from leaq.quantizers.applying import State
from leaq.quantizers.scheme import Scheme
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
    rounding: ClassVar[None] = None

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
