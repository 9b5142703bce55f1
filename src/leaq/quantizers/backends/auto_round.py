"""AutoRound without its optimisation: rounding to nearest as GPTQ, AWQ and AutoRound files store it.

The rule is a few lines; the package is not imported for it, since that changes torch in the whole process. Files that
it writes (``iters=0``) are compared bit for bit by the tests.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from leaq.lazy import Tensor, torch
from leaq.quantizers.applying import Scales
from leaq.quantizers.backends.base import Backend, LibraryOutput
from leaq.quantizers.blocks import into_blocks, whole
from leaq.quantizers.scheme import Needs

SMALLEST = 1e-5
"""Magnitude below which no scale goes."""


class AutoRound(Backend):
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
    def levels(self) -> int:
        return int(2**self.bits)

    def run(self, weight: Tensor) -> LibraryOutput:
        """Scales in 16 bits, then codes."""
        blocks = self._blocks(weight.unsqueeze(0))
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

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        """(code - zero point) times scale."""
        steps = (self._blocks(codes).float() - self._zero(scales)) * scales["step"].float()
        return whole(steps, self._per, codes.shape)

    def nearest(self, weight: Tensor, scales: Scales) -> Tensor:
        place = (self._blocks(weight) / scales["step"]).round() + self._zero(scales)
        return whole(place.clamp(0, self.levels - 1).to(torch.uint8), self._per, weight.shape)

    def _zero(self, scales: Scales) -> Tensor:
        if "zero" in scales:
            return scales["zero"].float()
        return torch.full((1, 1, 1), float(self.levels // 2), device=scales["step"].device)

    @property
    def _per(self) -> Literal["channel", "group"]:
        return "group" if self.group else "channel"

    def _blocks(self, tensor: Tensor) -> Tensor:
        return into_blocks(tensor, self._per, self.group)

    def title(self) -> str:
        where = f"groups of {self.group}" if self.group else "per channel"
        return f"AutoRound {self.bits}-bit {where}{'' if self.symmetric else ' asymmetric'}"

    def explain(self) -> str:
        where = f"{self.group} inputs" if self.group else "output channel"
        return (
            f"Each Linear weight is rounded to {self.bits} bits as AutoRound does without records, a scale per {where}."
        )
