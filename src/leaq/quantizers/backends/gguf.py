"""GGUF types that the package `gguf` encodes itself: what llama.cpp's converter writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from leaq.lazy import torch
from leaq.quantizers.applying import Scales
from leaq.quantizers.backends.base import Backend, Given
from leaq.quantizers.blocks import into_blocks, whole
from leaq.quantizers.scheme import Needs
from leaq.types import Role

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Gguf"]

BLOCK = 32
"""Weights of a row that share a scale."""
LEVELS = {"Q4_0": 16, "Q4_1": 16, "Q5_0": 32, "Q5_1": 32, "Q8_0": 256}


class Gguf(Backend):
    """A GGUF type, by the encoder of the `gguf` package: runs of 32 weights of a row, scales in 16 bits.

    Rows whose length is no multiple of 32 are filled up with copies of their last weight; llama.cpp keeps such rows in
    16 bits. K-quants and i-quants have no encoder in the package, files of them are read all the same.

    Examples
    --------
    >>> Gguf(type="Q4_0").spec(), Gguf(type="Q4_0").label()
    ('gguf(type=Q4_0)', 'GGUF Q4_0')
    """

    name: ClassVar[str] = "gguf"
    source: ClassVar[str] = "gguf.quants.quantize; ggml, ggml-quants.c"
    examples: ClassVar[tuple[str, ...]] = ("gguf(type=Q4_0)", "gguf(type=Q4_1)", "gguf(type=Q5_1)", "gguf(type=Q8_0)")
    wants: ClassVar[Needs] = Needs(extra="gguf", device="CPU")
    roles: ClassVar[frozenset[Role]] = frozenset({"linear", "embedding"})
    always_named: ClassVar[frozenset[str]] = frozenset({"type"})
    stored: ClassVar[frozenset[str]] = frozenset({"step", "low"})
    type: Literal["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"] = "Q4_0"

    @property
    def levels(self) -> int:
        """2^bits."""
        return LEVELS[self.type]

    def run(self, weight: Tensor) -> Given:
        """Read the scales from the library's bytes, and the codes from its dequantized weights."""
        import gguf

        blocks = into_blocks(weight.unsqueeze(0), "group", BLOCK)[0].numpy()
        kind = gguf.GGMLQuantizationType[self.type]
        packed = gguf.quants.quantize(np.ascontiguousarray(blocks), kind)
        back = torch.tensor(np.array(gguf.quants.dequantize(packed, kind)))
        halves = torch.tensor(
            np.ascontiguousarray(packed[:, :4]).view(np.float16)
        )  # the scale, then perhaps the lowest
        scales = {"step": halves[:, :1]} | ({"low": halves[:, 1:2]} if self.type.endswith("_1") else {})
        codes = self._position(back, scales).round().to(torch.uint8)
        shape = torch.Size((1, *weight.shape))
        return Given(whole(codes.unsqueeze(0), "group", shape)[0], scales, whole(back.unsqueeze(0), "group", shape)[0])

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        """Code times scale, from the middle or from the lowest."""
        steps = into_blocks(codes, "group", BLOCK).float()
        step = scales["step"].float()
        found = steps * step + scales["low"].float() if "low" in scales else (steps - self.levels // 2) * step
        return whole(found, "group", codes.shape)

    def nearest(self, weight: Tensor, scales: Scales) -> Tensor:
        """Round to the nearest code."""
        place = self._position(into_blocks(weight, "group", BLOCK).float(), scales)
        return whole(place.round().clamp(0, self.levels - 1).to(torch.uint8), "group", weight.shape)

    def _position(self, blocks: Tensor, scales: Scales) -> Tensor:
        step = scales["step"].float()
        step = step.masked_fill(step == 0, 1)
        if "low" in scales:
            return (blocks - scales["low"].float()) / step
        return blocks / step + self.levels // 2

    def title(self) -> str:
        """Name the scheme."""
        return f"GGUF {self.type}"

    def explain(self) -> str:
        """Say what happens to the weights."""
        return (
            f"The gguf package rounds Linear and Embedding weights to {self.type}, a 16-bit scale per {BLOCK} weights."
        )
