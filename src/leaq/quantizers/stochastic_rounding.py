"""Random rounding: unbiased on average over its noise.

The noise of a tensor comes from a stream named by the tensor's own content (a 63-bit digest) and the root seed. So it
does not depend on which models are quantized together or in which order, two models never share it unless their
weights are equal, and the candidates of one model share it when the quantizer is fitted to that model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import ClassVar, Self

from pydantic import Field, model_validator

from leaq.lazy import Tensor, torch
from leaq.quantizers.applying import Scales
from leaq.quantizers.blocks import into_blocks, positive
from leaq.quantizers.scheme import Scheme
from leaq.quantizers.uniform import Uniform
from leaq.seeds import torch_stream
from leaq.types import Flag

ONE_RELEASE = Flag(
    "protects-one-release",
    "Protects one release: the rounding is random, and whoever holds several roundings of the same model averages the "
    "noise out. --together measures several, e.g. 'stochastic(bits=4) x2/4/8'.",
)


class Noisy(Scheme):
    """What schemes with random numbers share, one a weight."""

    by_rows: ClassVar[bool] = False
    seed: int = Field(default=0, ge=0)
    """Root seed of the noise."""
    idempotent: ClassVar[bool] = False
    """New noise every time."""

    def flags(self, source: str = "members") -> tuple[Flag, ...]:
        """Say that each further release of the same model averages the noise out."""
        return (*super().flags(source), ONE_RELEASE)

    def again(self, times: int) -> tuple[Self, ...]:
        """Return the quantizers of several releases of one model, each with noise of its own.

        Examples
        --------
        >>> [one.spec() for one in Stochastic(bits=4).again(2)]
        ['stochastic(bits=4)', 'stochastic(bits=4, seed=1)']
        """
        return tuple(self.but(seed=self.seed + i) for i in range(times))

    def fit(self, weight: Tensor) -> Scales:
        """Scales, and the key of each tensor's noise."""
        keys = [_digest(tensor) for tensor in weight]
        return {**self._fit(weight), "key": torch.tensor(keys, dtype=torch.int64, device=weight.device)}

    def _fit(self, weight: Tensor) -> Scales:
        raise NotImplementedError

    def _noise(self, blocks: Tensor, scales: Scales, draw: Callable[..., Tensor] | None = None) -> Tensor:
        """Noise of each model, (b or 1, *blocks.shape[1:]); padding of the last group has noise too, unused."""
        shape = blocks.shape[1:]
        streams = [torch_stream(self.seed, self.name, int(key)) for key in scales["key"]]
        draw = draw or torch.rand
        drawn = [draw(shape, generator=one, dtype=blocks.dtype, device=one.device) for one in streams]
        return torch.stack(drawn).to(blocks.device)


class _RandomRounding(Noisy, Uniform):
    """Uniform levels with one uniform random number in [0, 1) per weight."""

    def _inside(self, scales: Scales) -> bool:
        """Noise may carry a weight beyond the levels."""
        return False

    def _fit(self, weight: Tensor) -> Scales:
        return Uniform.fit(self, weight)


class Stochastic(_RandomRounding):
    """Round up with a probability equal to the fraction lost, else down: unbiased where nothing is clipped."""

    name: ClassVar[str] = "stochastic"
    source: ClassVar[str] = "Gupta et al., Deep Learning with Limited Numerical Precision (arXiv 1502.02551v1), eq. 2"
    examples: ClassVar[tuple[str, ...]] = ("stochastic(bits=4)", "stochastic(bits=3, per=group, symmetric=False)")

    def _round(self, steps: Tensor, scales: Scales) -> Tensor:
        return steps.add_(self._noise(steps, scales)).floor_()

    def title(self) -> str:
        return f"{super().title()} stochastic"

    def explain(self) -> str:
        return (
            f"Each weight is rounded up or down to one of {self.levels} even levels, at random and unbiased, one scale "
            f"per {self.per}."
        )


class Dithered(_RandomRounding):
    """Subtractive dither: add noise of one step's width, round to nearest, subtract the noise when reading.

    The error is uniform within half a step whatever the weight, so it carries no trace of the weight itself. The
    range leaves room for the noise, so that nothing is clipped: the step is max|w| / (h - 1/2). Reading the weights
    needs the noise: its key is stored (64 bits a tensor), and who reads the file has it too.
    """

    name: ClassVar[str] = "dithered"
    source: ClassVar[str] = "Schuchman (IEEE Trans. Commun. Technol. 12, 1964); Gray and Stockham (IEEE T-IT 39, 1993)"
    examples: ClassVar[tuple[str, ...]] = ("dithered(bits=4)", "dithered(bits=3, per=group)")
    stored: ClassVar[frozenset[str]] = Uniform.stored | {"key"}
    bits: int = Field(ge=2, le=8)

    @model_validator(mode="after")
    def _symmetric_absmax_only(self) -> Dithered:
        if not self.symmetric or self.scale != "absmax":
            raise ValueError(
                "dithered levels are symmetric and span max|w|; leave symmetric and scale at their default"
            )
        return self

    def _fit(self, weight: Tensor) -> Scales:
        largest = into_blocks(weight, self.per, self.group).abs().amax(-1, keepdim=True)
        return {"step": largest / (self.levels // 2 - 0.5)}

    def _position(self, blocks: Tensor, scales: Scales, out: Tensor | None = None) -> Tensor:
        # The step of an all-zero block stays 0, so that reading gives 0 and not the noise.
        return torch.div(blocks, positive(scales["step"]), out=out)

    def _round(self, steps: Tensor, scales: Scales) -> Tensor:
        return steps.add_(self._noise(steps, scales).sub_(0.5)).round_()

    def _value(self, steps: Tensor, scales: Scales) -> Tensor:
        return steps.sub_(self._noise(steps, scales).sub_(0.5)).mul_(scales["step"])

    def title(self) -> str:
        return f"{super().title()} dithered"

    def explain(self) -> str:
        return (
            f"Noise of one step is added to each weight, the sum rounded to one of {self.levels} even levels, and the "
            f"noise subtracted again, one scale per {self.per}."
        )


def _digest(tensor: Tensor) -> int:
    """63 bits of the content; negative zero counts as zero, as it does in arithmetic."""
    raw = (tensor.detach().cpu().contiguous() + 0.0).view(torch.uint8) if tensor.ndim else tensor.view(1)
    return int.from_bytes(hashlib.sha256(raw.numpy().tobytes()).digest()[:8], "little") >> 1
