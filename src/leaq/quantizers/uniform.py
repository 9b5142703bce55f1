"""Evenly spaced levels, rounded to nearest: what most shipped integer formats do."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from leaq.lazy import Tensor, torch
from leaq.quantizers.applying import Scales
from leaq.quantizers.blocks import Per, extremes, into_blocks, normal, percentiles, positive, whole
from leaq.quantizers.scheme import Scheme


class Uniform(Scheme):
    """Evenly spaced levels, rounded to nearest, clipped to the range.

    Symmetric levels are -h..h times a step (2^bits - 1 of them, 0 among them); asymmetric ones are 2^bits levels from
    the lowest to the highest weight of the block.

    Examples
    --------
    >>> Uniform(bits=4).spec()
    'uniform(bits=4)'
    >>> Uniform(bits=2, per="tensor").label()
    '2-bit'
    """

    name: ClassVar[str] = "uniform"
    by_rows: ClassVar[bool] = True
    source: ClassVar[str] = "Jacob et al. (arXiv 1712.05877v1), section 2.1; Nagel et al. (arXiv 2106.08295v1)"
    examples: ClassVar[tuple[str, ...]] = (
        "uniform(bits=8)",
        "uniform(bits=4)",
        "uniform(bits=3, per=tensor)",
        "uniform(bits=2)",
        "uniform(bits=4, per=group)",
        "uniform(bits=1, symmetric=False)",
        "uniform(bits=4, per=group, symmetric=False, group=5)",
        "uniform(bits=3, scale=mse)",
        "uniform(bits=3, per=tensor, scale=percentile)",
    )
    bits: int = Field(ge=1, le=8)
    per: Per = "channel"
    symmetric: bool = True
    scale: Literal["absmax", "percentile", "mse"] = "absmax"
    """Range of the levels: the extremes, the 0.1 and 99.9 percentiles, or the best in squared error."""
    group: int = Field(default=32, ge=2)
    """Weights that share a scale with per="group", counted along the flattened input of each channel."""

    @model_validator(mode="after")
    def _one_bit_is_asymmetric(self) -> Uniform:
        if self.bits == 1 and self.symmetric:
            raise ValueError(
                "one symmetric bit has the single level 0 and would erase every weight; use sign, or symmetric=False"
            )
        return self

    @property
    def levels(self) -> int:
        """2^bits, less one when symmetric around 0."""
        return int(2**self.bits) - int(self.symmetric)

    @property
    def idempotent(self) -> bool:
        """Only if the range is still the range afterwards."""
        return self.scale == "absmax"

    def fit(self, weight: Tensor) -> Scales:
        """Range of each tensor, channel or group: the extremes, the 99.9th percentile, or the best in squared error."""
        blocks = into_blocks(weight, self.per, self.group)
        low, high = (percentiles if self.scale == "percentile" else extremes)(blocks)
        if self.scale == "mse":
            return self._best_of_shrinks(blocks, low, high)
        return self._step(low, high)

    def _step(self, low: Tensor, high: Tensor) -> Scales:
        if self.symmetric:
            step = torch.maximum(low.neg(), high) / (self.levels // 2)
            return {"step": positive(step)}
        step = positive((high - low) / (self.levels - 1))
        return {"step": step, "low": low}

    def _best_of_shrinks(self, blocks: Tensor, low: Tensor, high: Tensor) -> Scales:
        """Try 41 ranges between 20 % and 100 % of the full one, keep each block's best."""
        best: Scales = {}
        error = torch.full_like(low, torch.inf)
        for shrink in torch.linspace(0.2, 1.0, 41, dtype=blocks.dtype).tolist():
            scales = self._step(low * shrink, high * shrink)
            squared = (self._nearest(blocks, scales) - blocks).square().sum(-1, keepdim=True)
            better = squared < error
            error = torch.where(better, squared, error)
            best = {key: torch.where(better, value, best.get(key, value)) for key, value in scales.items()}
        return best

    def encode(self, weight: Tensor, scales: Scales) -> Tensor:
        """Nearest level, clipped to the range; codes count from 0."""
        steps = self._round(self._position(into_blocks(weight, self.per, self.group), scales), scales)
        codes = self._clip(steps) + (self.levels // 2 if self.symmetric else 0)
        return whole(codes.to(torch.uint8), self.per, weight.shape)

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        """Code times step, from the middle or from the low end."""
        steps = into_blocks(codes, self.per, self.group).to(scales["step"].dtype)
        if self.symmetric:
            steps = steps - self.levels // 2
        return whole(self._value(steps, scales), self.per, codes.shape)

    def fake_quantize(self, weight: Tensor, scales: Scales, out: Tensor | None = None) -> Tensor:
        """Encode and decode without the integers between."""
        return self._fake_quantize(weight, scales, out, clip=True)

    def fit_fake_quantize(self, weight: Tensor, out: Tensor) -> Scales:
        """Quantize with the weights' own scales; where these hold every weight, nothing needs clipping."""
        scales = self.fit(weight)
        self._fake_quantize(weight, scales, out, clip=not self._inside(scales))
        return scales

    @property
    def reveals_infinite(self) -> bool:
        """Extremes are finite only if all weights are; percentiles and the best range may leave one out."""
        return self.scale == "absmax"

    def _inside(self, scales: Scales) -> bool:
        """Whether the weights that the scales were fitted to all round to a level.

        The extremes do: their position is the last level up to rounding, unless the step has lost digits.
        """
        return self.scale == "absmax" and normal(scales["step"])

    def _fake_quantize(self, weight: Tensor, scales: Scales, out: Tensor | None, *, clip: bool) -> Tensor:
        if not (self.symmetric or normal(scales["step"])):
            # A step without all its digits: the short cut may give a zero the other sign.
            found = self.decode(self.encode(weight, scales), scales).to(weight.dtype)
            return found if out is None else out.copy_(found)
        blocks = into_blocks(weight, self.per, self.group)
        if out is None or blocks.numel() != weight.numel():  # the last group is padded: it has no room in `out`
            found = whole(self._nearest(blocks, scales, clip=clip), self.per, weight.shape)
            return found if out is None else out.copy_(found)
        self._nearest(blocks, scales, into_blocks(out, self.per, self.group), clip=clip)
        return out

    def _nearest(self, blocks: Tensor, scales: Scales, out: Tensor | None = None, *, clip: bool = True) -> Tensor:
        steps = self._round(self._position(blocks, scales, out), scales)
        return self._value(self._clip(steps) if clip else steps, scales)

    def _position(self, blocks: Tensor, scales: Scales, out: Tensor | None = None) -> Tensor:
        """Where each weight lies on the axis of levels, in steps: in `out`, or new; worked on in place from here."""
        if self.symmetric:
            return torch.div(blocks, scales["step"], out=out)
        return torch.sub(blocks, scales["low"], out=out).div_(scales["step"])

    def _round(self, steps: Tensor, scales: Scales) -> Tensor:
        """Round to whole steps, in place; what stochastic schemes change."""
        return steps.round_()

    def _clip(self, steps: Tensor) -> Tensor:
        half = self.levels // 2
        return steps.clamp_(-half, half) if self.symmetric else steps.clamp_(0, self.levels - 1)

    def _value(self, steps: Tensor, scales: Scales) -> Tensor:
        # Adding 0 turns the -0.0 of a rounded small negative weight into the 0.0 that its code stands for.
        return steps.mul_(scales["step"]).add_(0.0 if self.symmetric else scales["low"])

    def title(self) -> str:
        parts = [
            f"{self.bits}-bit",
            {"tensor": "", "channel": "per channel", "group": f"groups of {self.group}"}[self.per],
        ]
        parts += [] if self.symmetric else ["asymmetric"]
        parts += [] if self.scale == "absmax" else [self.scale]
        return " ".join(part for part in parts if part)

    def explain(self) -> str:
        kind = "symmetric around 0" if self.symmetric else "spanning the range"
        return f"Each weight is rounded to the nearest of {self.levels} even levels {kind}, one scale per {self.per}."
