"""Companding: levels close together near zero, where most weights are, and far apart at the ends."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from leaq.quantizers.codebooks import Codebook


class MuLaw(Codebook):
    """Levels that are equally spaced after ``y = sign(x) log(1 + mu |x|) / log(1 + mu)``, x in units of the largest.

    Examples
    --------
    >>> MuLaw(bits=3, mu=2.0).label(), MuLaw(bits=3).levels
    ('3-bit mu-law (mu = 2)', 7)
    """

    name: ClassVar[str] = "mu_law"
    source: ClassVar[str] = "ITU-T G.711, continuous form; Smith, Instantaneous Companding (BSTJ 36, 1957)"
    examples: ClassVar[tuple[str, ...]] = ("mu_law(bits=4)", "mu_law(bits=3, per=channel)")
    always_named: ClassVar[frozenset[str]] = frozenset({"bits"})
    bits: int = Field(default=4, ge=2, le=8)
    mu: float = Field(default=8.0, gt=0, le=255)

    @property
    def table(self) -> tuple[float, ...]:
        """An odd number of levels, zero among them, from -1 to 1."""
        half = 2 ** (self.bits - 1) - 1
        y = np.arange(-half, half + 1) / half
        return tuple((np.sign(y) * np.expm1(np.abs(y) * np.log1p(self.mu)) / self.mu).tolist())

    def title(self) -> str:
        mu = "" if self.at_default("mu") else f" (mu = {self.mu:g})"
        per = "" if (self.per, self.group) == ("group", 64) else f" per {self.per}"
        return f"{self.bits}-bit mu-law{mu}{per}"

    def explain(self) -> str:
        return f"Each weight takes the nearest of {self.levels} levels that lie closest near zero (mu-law companding)."
