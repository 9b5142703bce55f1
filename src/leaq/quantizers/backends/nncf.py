"""NNCF: the weights of OpenVINO files, compressed alone or quantized with activations, without a look at records.

Its arithmetic is short and needs no package. Of compressed weights a scale in 32 bits gives the codes, and is kept in
16; those of quantized models take the levels of a range, as OpenVINO's FakeQuantize does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from leaq.lazy import Tensor, torch
from leaq.quantizers.applying import Scales
from leaq.quantizers.backends.base import AffineRule, Backend, LibraryOutput
from leaq.quantizers.blocks import Per, into_blocks, whole
from leaq.quantizers.codebooks import FP4_LEVELS, NF4_LEVELS
from leaq.quantizers.scheme import Scheme
from leaq.types import Checkpoints, Role

SMALL, SMALLEST = 0.01, 8e-5
"""Least range of a channel, as a share of the largest one and by itself, where activations are quantized too."""
TABLES = {"nf4": NF4_LEVELS, "f4e2m1": tuple(sorted(round(6 * level, 1) for level in FP4_LEVELS))}
"""Levels of the short floats that a table gives, in units of the scale."""
LARGEST = {"nf4": 1.0, "f4e2m1": 6.0, "f8e4m3": 448.0}
EXPONENTS = 127
"""What is added to the exponent of a power of two to store it, and the largest there is."""
CONVOLUTIONS = frozenset[Role]({"conv1d", "conv2d"})


class Nncf(AffineRule):
    """Weights rounded as NNCF compresses them: 8 bits by channel, fewer by channel or group, and products in 16 bits.

    A symmetric scale is the number of largest magnitude over the lowest code, so that it may be negative; an asymmetric
    one spans the weights and zero. Convolutions keep 8 bits with zero points where the others get fewer, as in NNCF.

    Examples
    --------
    >>> Nncf(symmetric=False).spec(), Nncf(bits=4, per="group", group=64).label()
    ('nncf(bits=8, symmetric=False)', 'NNCF 4-bit groups of 64')
    """

    name: ClassVar[str] = "nncf"
    source: ClassVar[str] = "nncf.compress_weights, weight_lowering: calculate_integer_quantization_params"
    examples: ClassVar[tuple[str, ...]] = (
        "nncf(bits=8, symmetric=False)",
        "nncf(bits=4)",
        "nncf(bits=4, symmetric=False)",
    )
    roles: ClassVar[frozenset[Role]] = CONVOLUTIONS | {"linear", "embedding"}
    always_named: ClassVar[frozenset[str]] = frozenset({"bits"})
    bits: Literal[2, 3, 4, 8] = 8
    per: Literal["channel", "group"] = "channel"
    group: int = Field(default=128, ge=2)
    symmetric: bool = True

    @model_validator(mode="after")
    def _few_bits_are_symmetric(self) -> Nncf:
        if self.bits < 4 and not self.symmetric:
            raise ValueError("NNCF has zero points for 4 and 8 bits only; use symmetric=True")
        return self

    @property
    def shared(self) -> tuple[Per, int]:
        return self.per, self.group

    def plan(self, checkpoints: Checkpoints) -> dict[str, Scheme]:
        """Return what each weight goes through: convolutions never have fewer than 8 bits."""
        found = super().plan(checkpoints)
        return found if self.bits == 8 else _with_integers(self, found, checkpoints)

    def run(self, weight: Tensor) -> LibraryOutput:
        self.refuse_partial_group(weight, "NNCF")
        return super().run(weight)

    def scales_between(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor | None]:
        if self.symmetric:
            return _not_zero(torch.where(low.abs() >= high, low.abs(), -high) / (self.levels // 2)), None
        low, high = low.clamp_max(0), high.clamp_min(0)
        step = _not_zero((high - low) / (self.levels - 1))
        return step, (-(low / step).round()).clamp(0, self.levels - 1)

    def rounded(self, blocks: Tensor, step: Tensor, zero: Tensor | None) -> Tensor:
        if zero is None:
            return (blocks / step).round() + self.levels // 2
        return (blocks / step + zero).round()

    def kept(self, step: Tensor, zero: Tensor | None) -> Scales:
        return super().kept(step.half(), None if zero is None else zero.to(torch.uint8))

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        """Multiply in 16 bits, as the file says."""
        return super().decode(codes, scales).half().float()

    def title(self) -> str:
        where = f"groups of {self.group}" if self.per == "group" else "per channel"
        return f"NNCF {self.bits}-bit {where}{'' if self.symmetric else ' asymmetric'}"

    def explain(self) -> str:
        kind = "symmetric" if self.symmetric else "asymmetric"
        where = f"group of {self.group}" if self.per == "group" else "channel"
        return f"NNCF rounds each weight to {self.bits} {kind} bits, one scale in 16 bits per {where}."


def _with_integers(scheme: Scheme, found: Mapping[str, Scheme], checkpoints: Checkpoints) -> dict[str, Scheme]:
    """Return a plan in which convolutions that would go through a scheme get 8 bits with zero points."""
    instead = Nncf(symmetric=False)
    return {
        name: instead if way is scheme and checkpoints.roles[name] in CONVOLUTIONS else way
        for name, way in found.items()
    }


class NncfFloat(Backend):
    """Weights compressed to short floating-point numbers as NNCF does, products in 16 bits.

    A scale is the largest magnitude over the format's largest number. It gives the codes in 32 bits and is kept in 16,
    or is the next higher power of two. Beside NF4 convolutions keep 8 bits with zero points.

    Parameters
    ----------
    powers : scales are powers of two, as in NNCF's modes MXFP4 and MXFP8_E4M3.

    Examples
    --------
    >>> NncfFloat().spec(), NncfFloat(format="f4e2m1", group=32, powers=True).label()
    ('nncf.float(format=nf4)', 'NNCF f4e2m1 groups of 32, scales powers of 2')
    """

    name: ClassVar[str] = "nncf.float"
    source: ClassVar[str] = "nncf.compress_weights, weight_lowering: do_float_quantization"
    examples: ClassVar[tuple[str, ...]] = (
        "nncf.float(format=nf4, per=channel)",
        "nncf.float(format=f4e2m1, per=channel, powers=True)",
        "nncf.float(format=f8e4m3, per=channel)",
    )
    roles: ClassVar[frozenset[Role]] = Nncf.roles
    always_named: ClassVar[frozenset[str]] = frozenset({"format"})
    format: Literal["nf4", "f4e2m1", "f8e4m3"] = "nf4"
    per: Literal["channel", "group"] = "group"
    group: int = Field(default=64, ge=2)
    powers: bool = False

    @property
    def levels(self) -> int:
        return 256 if self.format == "f8e4m3" else len(TABLES[self.format])

    @property
    def shared(self) -> tuple[Per, int]:
        return self.per, self.group

    def plan(self, checkpoints: Checkpoints) -> dict[str, Scheme]:
        """Return what each weight goes through: beside NF4 convolutions are of integers."""
        found = super().plan(checkpoints)
        return _with_integers(self, found, checkpoints) if self.format == "nf4" else found

    def run(self, weight: Tensor) -> LibraryOutput:
        self.refuse_partial_group(weight, "NNCF")
        blocks = into_blocks(weight.unsqueeze(0), *self.shared)
        step = _not_zero(blocks.abs().amax(-1, keepdim=True) / LARGEST[self.format])
        if self.powers:
            step = torch.exp2(step.log2().ceil().clamp(-EXPONENTS, EXPONENTS))
        codes = whole(self._codes(blocks / step), self.per, weight.unsqueeze(0).shape)
        kept = (step.log2() + EXPONENTS).to(torch.uint8) if self.powers else step.half()
        scales = {"step": kept.flatten(1)}
        return LibraryOutput(codes[0], {"step": scales["step"][0]}, self.decode(codes, scales)[0])

    def nearest(self, weight: Tensor, scales: Scales) -> Tensor:
        blocks = into_blocks(weight, *self.shared).float()
        return whole(self._codes(blocks / self._step(scales)), self.per, weight.shape)

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        blocks = into_blocks(codes, *self.shared)
        if self.format == "f8e4m3":
            levels = blocks.contiguous().view(torch.float8_e4m3fn).half()
        else:
            levels = torch.tensor(TABLES[self.format], device=codes.device).half()[blocks.int()]
        return whole((levels * self._step(scales).half()).float(), self.per, codes.shape)

    def _step(self, scales: Scales) -> Tensor:
        step = scales["step"].float()
        step = torch.exp2(step - EXPONENTS) if self.powers else step
        return step.reshape(len(step), -1, 1)

    def _codes(self, places: Tensor) -> Tensor:
        """Return the codes of numbers in units of their scale: the nearest level's, of two as near that NNCF's."""
        if self.format == "f8e4m3":  # through 16 bits, as OpenVINO converts
            largest = LARGEST[self.format]
            return places.clamp(-largest, largest).half().to(torch.float8_e4m3fn).view(torch.uint8)
        table = torch.tensor(TABLES[self.format], device=places.device)
        middles = (table[1:] + table[:-1]) / 2
        codes = torch.bucketize(places.contiguous(), middles)
        if self.format == "f4e2m1":  # the even one, which has odd places in the table
            tie = places == middles[codes.clamp_max(len(middles) - 1)]
            codes = codes + (tie & (codes % 2 == 0) & (codes < len(middles)))
        return codes.to(torch.uint8)

    def title(self) -> str:
        where = f"groups of {self.group}" if self.per == "group" else "per channel"
        return f"NNCF {self.format} {where}{', scales powers of 2' * self.powers}"

    def explain(self) -> str:
        where = f"group of {self.group}" if self.per == "group" else "channel"
        kind = "a power of two" if self.powers else "in 16 bits"
        return f"NNCF takes the nearest {self.format} number for each weight, one scale, {kind}, per {where}."


class NncfQuantize(AffineRule):
    """Weights rounded as ``nncf.quantize`` and OpenVINO do, activations or not: 255 levels from -range to range.

    A number's place among the levels is counted from the lowest one, so that ties fall other ways than by dividing by
    a step. No range of a channel is smaller than a hundredth of the largest.

    Parameters
    ----------
    half : the range is twice the largest number, so that codes take half of the levels: NNCF's fix against overflows on
        older processors, by default of the first convolution.

    Examples
    --------
    >>> NncfQuantize().spec(), NncfQuantize(half=True).label()
    ('nncf.quantize', 'NNCF 8-bit calibrated, half the range')
    """

    name: ClassVar[str] = "nncf.quantize"
    source: ClassVar[str] = "nncf.quantize, fake_quantize: calculate_quantizer_parameters; OpenVINO's FakeQuantize"
    examples: ClassVar[tuple[str, ...]] = ("nncf.quantize", "nncf.quantize(half=True)", "nncf.quantize(per=tensor)")
    roles: ClassVar[frozenset[Role]] = Nncf.roles
    bits: Literal[8] = 8
    per: Literal["channel", "tensor"] = "channel"
    half: bool = False

    @property
    def levels(self) -> int:
        return 255

    @property
    def shared(self) -> tuple[Per, int]:
        return self.per, 0

    def scales_between(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the range of each block, from which `_step` follows."""
        reach = torch.maximum(low.abs(), high.abs())
        reach = torch.maximum(reach, (reach.max() * SMALL).clamp_min(SMALLEST))
        return reach * 2 if self.half else reach, None

    def rounded(self, blocks: Tensor, step: Tensor, zero: Tensor | None) -> Tensor:
        return ((blocks + step) / (step + step) * (self.levels - 1)).round()

    def nearest(self, weight: Tensor, scales: Scales) -> Tensor:
        reach = scales["step"].float().reshape(len(scales["step"]), -1, 1)
        found = self.rounded(into_blocks(weight, *self.shared), reach, None)
        return whole(found.clamp(0, self.levels - 1).to(torch.uint8), self.per, weight.shape)

    def _step(self, scales: Scales) -> Tensor:
        return super()._step(scales) / (self.levels // 2)

    def title(self) -> str:
        where = " per tensor" * (self.per == "tensor")
        return f"NNCF 8-bit calibrated{where}{', half the range' * self.half}"

    def explain(self) -> str:
        reach = "twice the largest weight" if self.half else "the largest weight"
        return f"NNCF rounds each weight to the nearest of 255 even levels, one range per {self.per}: {reach} of it."


def _not_zero(step: Tensor) -> Tensor:
    """Raise what is smaller than the distance of 1 to the next number to that, as NNCF does."""
    least = torch.finfo(step.dtype).eps
    return torch.where(step.abs() < least, least, step)
