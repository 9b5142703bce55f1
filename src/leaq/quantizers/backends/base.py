"""What every library backend shares: run it on each model, check what it gives, answer for candidates."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from leaq.errors import UnsupportedModel, need
from leaq.lazy import Tensor, torch
from leaq.quantizers.applying import Scales
from leaq.quantizers.blocks import Per, extremes, into_blocks, whole
from leaq.quantizers.scheme import Scheme
from leaq.types import Role


@dataclass(frozen=True)
class LibraryOutput:
    """What a library made of one weight matrix: codes (out, in) counted from 0, scales, dequantized weights."""

    codes: Tensor
    scales: Scales
    weight: Tensor


class Backend(Scheme):
    """A library's quantizer, for linear weights (what these libraries quantize by default).

    A released weight gets exactly the library's codes. Other candidates of the same model get the nearest codes under
    the library's scales, which is what the library's own rounding does once its scales are fixed.

    Parameters
    ----------
    through : the type of the file that was quantized, where that was not 32 bits: weights are rounded to it first.
    """

    place: ClassVar[int] = 1
    roles: ClassVar[frozenset[Role]] = frozenset({"linear"})
    stored: ClassVar[frozenset[str]] = frozenset({"step", "zero", "absmax"})
    through: Literal["float32", "float16", "bfloat16"] = "float32"
    idempotent: ClassVar[bool] = False
    """Not promised: libraries choose scales their own way."""

    def run(self, weight: Tensor) -> LibraryOutput:
        """Quantize one float32 matrix (out, in) with the library."""
        raise NotImplementedError

    @property
    def shared(self) -> tuple[Per, int]:
        """What shares a scale, and how many inputs do where it is a group."""
        raise NotImplementedError

    def refuse_partial_group(self, weight: Tensor, library: str) -> None:
        """Refuse a weight (out, ...) whose rows are no whole groups, where a library does."""
        per, group = self.shared
        if per == "group" and (inputs := weight[0].numel()) % group:
            raise UnsupportedModel(
                f"{self.spec()}: {library} needs a group size that divides the layer's inputs. Found {inputs} inputs "
                f"and groups of {group}. Use per=channel, or another group."
            )

    def shown(self, weight: Tensor) -> Tensor:
        """Return a weight as the library is given it."""
        return weight.to(getattr(torch, self.through)).float()

    def nearest(self, weight: Tensor, scales: Scales) -> Tensor:
        """Return the nearest codes (b, out, in) under the library's scales."""
        raise NotImplementedError

    def label(self) -> str:
        return super().label() + f", through {self.through}" * (self.through != "float32")

    def describe(self) -> str:
        before = f" Before that they are rounded to {self.through}." * (self.through != "float32")
        return super().describe() + before

    def library(self) -> ModuleType | None:
        """Import the library, or say which extra brings it; nothing where the rule needs none."""
        if (name := self.wants.extra) is None:
            return None
        if name in sys.modules:
            return sys.modules[name]
        logging.disable(logging.WARNING)  # torchao logs each compiled part that this machine cannot use
        try:
            with warnings.catch_warnings(), _interpreted():
                warnings.simplefilter("ignore")  # their deprecations are theirs
                return need(name, extra=name, purpose=self.spec())
        finally:
            logging.disable(logging.NOTSET)

    def fit(self, weight: Tensor) -> Scales:
        """Run the library on each model; keep its codes beside its scales.

        Raises
        ------
        UnsupportedModel
            If what the library gives is not finite, all zero, constant or unchanged, or not what its codes stand for.
        """
        self.library()
        given = [self._checked(model.detach().float()) for model in weight]
        scales = {key: torch.stack([one.scales[key] for one in given]) for key in given[0].scales}
        return {**scales, "codes": torch.stack([one.codes for one in given]), "reference": weight}

    def _checked(self, weight: Tensor) -> LibraryOutput:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given = self.run(self.shown(weight))
        self._refuse_idle(weight, given.weight, max(len(weight), *(one.numel() for one in given.scales.values())))
        single = {key: value.unsqueeze(0) for key, value in given.scales.items()}
        decoded = self.decode(given.codes.unsqueeze(0), single)[0]
        if not torch.equal(decoded, given.weight):
            worst = float((decoded - given.weight).abs().max())
            raise UnsupportedModel(
                f"{self.spec()}: the library's codes and scales must give its own dequantized weights. They differ by "
                f"up to {worst:.3g} for a {tuple(weight.shape)} matrix; this version of the library is not supported."
            )
        return given

    def _refuse_idle(self, weight: Tensor, quantized: Tensor, scales: int) -> None:
        """Refuse output that quantizes nothing or erases everything; such configurations run without a word.

        Weights that take no more values than there are levels under each of the `scales` may be quantized already.
        """
        spread, largest = float(weight.max() - weight.min()), float(weight.abs().max())
        found = ""
        if not torch.isfinite(quantized).all():
            found = "not finite"
        elif largest > 0 and not quantized.any():
            found = "all zero"
        elif spread > 0.5 * largest and quantized.max() == quantized.min():
            found = "constant"
        elif torch.equal(weight, quantized) and len(set(weight.flatten().tolist())) > self.levels * scales:
            found = "identical to the input"
        if found:
            raise UnsupportedModel(
                f"{self.spec()}: quantized weights must be finite and differ from their input and from a constant. "
                f"The library's output is {found} for a {tuple(weight.shape)} matrix, so it would be audited as "
                "something it is not. Choose another quantizer."
            )

    def encode(self, weight: Tensor, scales: Scales) -> Tensor:
        """Return the library's codes where it saw the weight, the nearest ones elsewhere."""
        nearest = self.nearest(weight, scales)
        seen = (weight == scales["reference"]).flatten(1).all(1)
        return torch.where(seen.reshape(-1, *[1] * (weight.ndim - 1)), scales["codes"], nearest)


class InOwnType(Backend):
    """A library that works in the type of the model it is given, and keeps scales in it.

    Parameters
    ----------
    within : that type. What codes stand for is worked out in 32 bits all the same.
    """

    within: Literal["float32", "float16", "bfloat16"] = "float32"

    def shown(self, weight: Tensor) -> Tensor:
        return super().shown(weight).to(getattr(torch, self.within))

    def own(self, codes: Tensor, scales: Scales, back: Tensor) -> LibraryOutput:
        """Return what the library gives; of 16 bits what its codes and scales stand for in 32."""
        if self.within != "float32":
            back = self.decode(codes.unsqueeze(0), {key: value.unsqueeze(0) for key, value in scales.items()})[0]
        return LibraryOutput(codes, scales, back)

    def label(self) -> str:
        return super().label() + f", in {self.within}" * (self.within != "float32")

    def describe(self) -> str:
        return super().describe() + f" Scales and codes are worked out in {self.within}." * (self.within != "float32")


class Affine(Backend):
    """A library's integers: a weight is (code - zero point) times the scale of its block.

    Scales, and zero points where they are not in the middle, are (b, ...), one a block in the order of `into_blocks`.
    """

    signed: ClassVar[bool] = False
    """Whether zero points count from the middle code, and not from the lowest."""
    if TYPE_CHECKING:
        bits: int
        """An option of those that are not told it otherwise."""

    @property
    def levels(self) -> int:
        """2^bits: unlike `uniform`, these use the most negative code too."""
        return int(2**self.bits)

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        steps = into_blocks(codes, *self.shared).float() - self._zero(scales)
        return whole(steps * self._step(scales), self.shared[0], codes.shape)

    def nearest(self, weight: Tensor, scales: Scales) -> Tensor:
        place = (into_blocks(weight, *self.shared) / self._step(scales)).round() + self._zero(scales)
        return whole(place.clamp(0, self.levels - 1).to(torch.uint8), self.shared[0], weight.shape)

    def _step(self, scales: Scales) -> Tensor:
        return scales["step"].float().reshape(len(scales["step"]), -1, 1)

    def _zero(self, scales: Scales) -> Tensor:
        middle = float(self.levels // 2)
        if "zero" not in scales:
            return torch.full((1, 1, 1), middle, device=scales["step"].device)
        return scales["zero"].float().reshape(len(scales["zero"]), -1, 1) + (middle if self.signed else 0.0)


class AffineRule(Affine):
    """A library's integers by arithmetic of ours, which needs no library: its scales follow from a block's extremes."""

    def scales_between(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the step of each block from its extremes, and its zero point; None where it is the middle code."""
        raise NotImplementedError

    def rounded(self, blocks: Tensor, step: Tensor, zero: Tensor | None) -> Tensor:
        """Return the codes of blocks, counted from 0, before they are cut off."""
        raise NotImplementedError

    def kept(self, step: Tensor, zero: Tensor | None) -> Scales:
        """Return scales in the types in which they are stored."""
        return {"step": step} | ({} if zero is None else {"zero": zero})

    def run(self, weight: Tensor) -> LibraryOutput:
        """Scales, codes and what they stand for, in the library's order of operations."""
        blocks = into_blocks(weight.unsqueeze(0), *self.shared)
        step, zero = self.scales_between(*extremes(blocks))
        found = self.rounded(blocks, step, zero).clamp(0, self.levels - 1).to(torch.uint8)
        codes = whole(found, self.shared[0], weight.unsqueeze(0).shape)
        scales = self.kept(step.flatten(1), None if zero is None else zero.flatten(1))
        back = self.decode(codes, scales)
        return LibraryOutput(codes[0], {key: value[0] for key, value in scales.items()}, back[0])

    def nearest(self, weight: Tensor, scales: Scales) -> Tensor:
        zero = self._zero(scales) if "zero" in scales else None
        found = self.rounded(into_blocks(weight, *self.shared), self._step(scales), zero)
        return whole(found.clamp(0, self.levels - 1).to(torch.uint8), self.shared[0], weight.shape)


@contextmanager
def _interpreted() -> Iterator[None]:
    """Leave what is imported here as Python runs it: bitsandbytes has torch compile its kernels for CPUs.

    That takes ten seconds in each process, and every weight is quantized once.
    """
    import torch

    def plain(function: Callable[..., Any] | None = None, **_options: object) -> Callable[..., Any]:
        return function or (lambda one: one)

    compiling = torch.compile
    torch.compile = plain  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.compile = compiling
