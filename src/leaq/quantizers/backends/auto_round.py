"""AutoRound without its optimisation: rounding to nearest as GPTQ, AWQ and AutoRound files store it.

The rule is a few lines; the package is not imported for it, since that changes torch in the whole process. Files that
it writes (``iters=0``) are compared bit for bit by the tests.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from leaq.lazy import Tensor, torch
from leaq.quantizers.backends.base import Affine, LibraryOutput
from leaq.quantizers.blocks import Per, into_blocks
from leaq.quantizers.scheme import Needs

SMALLEST = 1e-5
"""Magnitude below which no scale goes."""


class AutoRound(Affine):
    """Integers of groups of inputs, scales in 16 bits, as AutoRound rounds without looking at records.

    Symmetric: the number of largest magnitude is the lowest code, so that scales may be negative. Rows whose length is
    no multiple of the group are filled up.

    Parameters
    ----------
    group : inputs that share a scale; 0 for whole rows.

    Examples
    --------
    >>> AutoRound().spec(), AutoRound(symmetric=False).label()
    ('auto_round(bits=4)', 'AutoRound 4-bit groups of 128 asymmetric')
    """

    name: ClassVar[str] = "auto_round"
    source: ClassVar[str] = "AutoRound with iters=0; Cheng et al. (arXiv 2309.05516v5)"
    examples: ClassVar[tuple[str, ...]] = ("auto_round(bits=4)", "auto_round(bits=3, group=32, symmetric=False)")
    wants: ClassVar[Needs] = Needs()
    always_named: ClassVar[frozenset[str]] = frozenset({"bits"})
    bits: int = Field(default=4, ge=2, le=8)
    group: int = Field(default=128, ge=0)
    symmetric: bool = True

    @property
    def shared(self) -> tuple[Per, int]:
        return "group" if self.group else "channel", self.group

    def run(self, weight: Tensor) -> LibraryOutput:
        """Scales in 16 bits, then codes."""
        blocks = into_blocks(weight.unsqueeze(0), *self.shared)
        low, high = blocks.amin(-1, keepdim=True).clamp_max(0), blocks.amax(-1, keepdim=True).clamp_min(0)
        low, high = (part.to(getattr(torch, self.through)) for part in (low, high))  # it computes in the model's type
        if self.symmetric:
            step = (torch.where(high < -low, -low, -high) / (self.levels // 2)).half()
            step = torch.where(step < 0, step.clamp_max(-SMALLEST), step.clamp_min(SMALLEST))
            scales = {"step": step}
        else:
            step = ((high - low) / (self.levels - 1)).half().clamp_min(SMALLEST)
            scales = {"step": step, "zero": (-low / step).round().to(torch.uint8)}
        codes = self.nearest(weight.unsqueeze(0), scales)
        single = {key: value[0] for key, value in scales.items()}
        return LibraryOutput(codes[0], single, self.decode(codes, scales)[0])

    def title(self) -> str:
        where = f"groups of {self.group}" if self.group else "per channel"
        return f"AutoRound {self.bits}-bit {where}{'' if self.symmetric else ' asymmetric'}"

    def explain(self) -> str:
        where = f"{self.group} inputs" if self.group else "output channel"
        return (
            f"Each Linear weight is rounded to {self.bits} bits as AutoRound does without records, a scale per {where}."
        )
