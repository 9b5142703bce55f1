"""How programs round what they multiply weights with, as their graphs say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch

from leaq.types import Activations
from leaq.types.activations import OUTPUTS, ZeroPoint, results_of


@dataclass(frozen=True)
class Levels:
    """The levels of one tensor of activations.

    Attributes
    ----------
    bits : of their codes.
    scale : distance of levels; None where it is worked out from the numbers when the program runs.
    zero : which level is 0, counted from the lowest; None where that is worked out too.

    Examples
    --------
    >>> Levels(8, 0.5, 128).ends, Levels.between(0.0, 51.0, 256)
    ((-64.0, 63.5), Levels(bits=8, scale=0.2, zero=0))
    """

    bits: int
    scale: float | None = None
    zero: int | None = None

    @classmethod
    def between(cls, low: float, high: float, levels: int) -> Self:
        """Return as many levels as there are from the lowest to the highest one."""
        scale = (high - low) / (levels - 1)
        return cls((levels - 1).bit_length(), scale, round(-low / scale) if scale else 0)

    @classmethod
    def coded(cls, scale: float, zero: float, low: float, high: float) -> Self:
        """Return the levels of codes from the lowest to the highest, of which `zero` stands for 0."""
        return cls(int(high - low).bit_length(), float(scale), int(zero - low))

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest level, of a static range."""
        assert self.scale is not None
        assert self.zero is not None
        return -self.zero * self.scale, (2**self.bits - 1 - self.zero) * self.scale

    @property
    def middle(self) -> bool:
        """Whether the middle level is 0."""
        return self.zero == 1 << (self.bits - 1)


def rounding_of(found: Mapping[str, Levels]) -> Activations | None:
    """Return what levels by weight (and of the outputs) are together, ranges (2,); None if there are none.

    The fewest bits count, and static ranges where there are some.

    Examples
    --------
    >>> rounding_of({"0.weight": Levels(8, 0.1, 128), "2.weight": Levels(8, 0.2, 0)}).zero_point
    'sign'
    """
    if not found:
        return None
    static = {name: levels for name, levels in found.items() if levels.scale is not None}
    told, bits = static or found, min(levels.bits for levels in found.values())
    zero_point: ZeroPoint = "free"
    if all(levels.middle for levels in told.values()):
        zero_point = "middle"
    elif all(levels.middle or levels.zero == 0 for levels in told.values()) and any(
        levels.middle for levels in told.values()
    ):
        zero_point = "sign"
    ranges = {name: torch.tensor(_ends(levels, zero_point), dtype=torch.float32) for name, levels in static.items()}
    return Activations(bits, zero_point, ranges).consistent()


def _ends(levels: Levels, zero_point: ZeroPoint) -> tuple[float, float]:
    """Return a static range; around 0 it reaches as far up as down, which the lowest level is one step beyond."""
    low, high = levels.ends
    return (-high, high) if levels.middle and zero_point != "free" else (low, high)


def named_levels(
    given: Mapping[str, Levels | None], gives: Mapping[str, Levels | None], outputs: Levels | None
) -> dict[str, Levels]:
    """Return all levels of a program under the names that ranges have in `Activations`."""
    named = {**given, **{results_of(name): levels for name, levels in gives.items()}, OUTPUTS: outputs}
    return {name: levels for name, levels in named.items() if levels is not None}
