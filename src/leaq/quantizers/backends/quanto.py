"""optimum-quanto: weights rounded in the type of the model they are of, by arithmetic of ours."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from leaq.lazy import Tensor, torch
from leaq.quantizers.applying import Scales
from leaq.quantizers.backends.base import Backend, LibraryOutput
from leaq.quantizers.blocks import Per, extremes, into_blocks, whole
from leaq.quantizers.float_formats import float8
from leaq.types import Role

FLOATS = {"qfloat8_e4m3": "e4m3", "qfloat8_e5m2": "e5m2"}
"""Types of short floats, by the format that they have."""


class Quanto(Backend):
    """Weights rounded as optimum-quanto rounds them, scales and products in the model's own type.

    Codes of 8 bits have a scale a row, those of 4 and 2 bits a scale and a shift a group of inputs. Of a model in 32
    bits that is what `uniform` and `float8` do; with ``through=bfloat16`` scales, codes and products are rounded to it.

    Examples
    --------
    >>> Quanto().spec(), Quanto(type="qint4", through="bfloat16").label()
    ('quanto(type=qint8)', 'quanto qint4 groups of 128, through bfloat16')
    """

    name: ClassVar[str] = "quanto"
    source: ClassVar[str] = "optimum.quanto.tensor, AbsmaxOptimizer and MaxOptimizer, quantize_symmetric and _affine"
    examples: ClassVar[tuple[str, ...]] = (
        "quanto(type=qint8, through=bfloat16)",
        "quanto(type=qfloat8_e4m3, through=bfloat16)",
        "quanto(type=qint4, through=float16, per=channel)",
    )
    roles: ClassVar[frozenset[Role]] = frozenset({"linear", "conv2d"})
    always_named: ClassVar[frozenset[str]] = frozenset({"type"})
    type: Literal["qint8", "qfloat8_e4m3", "qfloat8_e5m2", "qint4", "qint2"] = "qint8"
    per: Literal["channel", "group"] = "group"
    """Of 4 and 2 bits; those of 8 have a scale a row."""
    group: int = Field(default=128, ge=2)

    @property
    def levels(self) -> int:
        return int(2 ** int(self.type[-1])) if self._few else 256

    @property
    def shared(self) -> tuple[Per, int]:
        return self.per if self._few else "channel", self.group

    @property
    def _few(self) -> bool:
        return self.type in ("qint4", "qint2")

    def run(self, weight: Tensor) -> LibraryOutput:
        self.refuse_partial_group(weight, "optimum-quanto")
        blocks = into_blocks(weight.unsqueeze(0), *self.shared).to(getattr(torch, self.through))
        low, high = extremes(blocks)
        if self._few:
            scales = {"step": (high - low) / (self.levels - 1), "zero": -low}
        else:
            most = torch.finfo(float8(FLOATS[self.type])).max if self.type in FLOATS else 127
            scales = {"step": torch.maximum(-low, high) / most}
        scales = {key: value.flatten(1) for key, value in scales.items()}
        codes = self.nearest(weight.unsqueeze(0), scales)
        return LibraryOutput(codes[0], {key: value[0] for key, value in scales.items()}, self.decode(codes, scales)[0])

    def nearest(self, weight: Tensor, scales: Scales) -> Tensor:
        blocks = into_blocks(weight, *self.shared).to(scales["step"].dtype)
        step = self._each(scales["step"])
        # Of a row of zeros any code is 0; the package makes it NaN in float8.
        if self._few:
            found = ((blocks + self._each(scales["zero"])) / step).round().clamp(0, self.levels - 1).to(torch.uint8)
        elif self.type in FLOATS:
            kind = float8(FLOATS[self.type])
            most = torch.finfo(kind).max
            found = torch.nan_to_num(blocks / step).clamp(-most, most).to(kind).view(torch.uint8)
        else:
            places = torch.nan_to_num(blocks / step).round().clamp(-128, 127)
            found = (places + 128).to(torch.uint8)
        return whole(found, self.shared[0], weight.shape)

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        blocks, step = into_blocks(codes, *self.shared), self._each(scales["step"])
        if self._few:
            value = step * blocks - self._each(scales["zero"])
        elif self.type in FLOATS:
            value = step * blocks.contiguous().view(float8(FLOATS[self.type])).to(step.dtype)
        else:
            value = step * (blocks.to(torch.int16) - 128)
        return whole(value.float(), self.shared[0], codes.shape)

    @staticmethod
    def _each(scale: Tensor) -> Tensor:
        return scale.reshape(len(scale), -1, 1)

    def title(self) -> str:
        where = f" groups of {self.group}" if self.per == "group" else " per channel"
        return f"quanto {self.type}{where * self._few}"

    def explain(self) -> str:
        where = f"group of {self.group} inputs" if self.shared[0] == "group" else "row"
        return f"optimum-quanto rounds each weight to {self.type}, one scale per {where}, in the model's own type."
