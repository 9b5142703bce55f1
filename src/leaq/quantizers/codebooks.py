"""Levels that are not even: NF4, FP4, powers of two, and levels learnt from the weights by k-means."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from leaq.lazy import Tensor, torch
from leaq.quantizers.applying import Scales
from leaq.quantizers.blocks import Per, into_blocks, positive, whole
from leaq.quantizers.scheme import Scheme

# Quantiles of the standard normal, scaled to [-1, 1], with an exact 0 (Dettmers et al., appendix E).
NF4_LEVELS = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip
# One sign, two exponent and one mantissa bit, over the largest: plus and minus zero are one level.
FP4_LEVELS = (0.0, *(sign * level / 6 for sign in (-1, 1) for level in (6, 4, 3, 2, 1.5, 1, 0.5)))


class Codebook(Scheme):
    """A fixed table of levels in units of one scale per block; each weight takes the nearest level."""

    by_rows: ClassVar[bool] = True
    per: Per = "group"
    group: int = Field(default=64, ge=2)
    """Weights that share a scale with per="group", counted along the flattened input of each channel."""

    @property
    def table(self) -> tuple[float, ...]:
        """Levels in increasing order, in units of the scale."""
        raise NotImplementedError

    @property
    def levels(self) -> int:
        """As many as the table has."""
        return len(self.table)

    def fit(self, weight: Tensor) -> Scales:
        """Largest magnitude of each block."""
        return {"scale": positive(into_blocks(weight, self.per, self.group).abs().amax(-1, keepdim=True))}

    def encode(self, weight: Tensor, scales: Scales) -> Tensor:
        """Position of the nearest level in the table."""
        relative = into_blocks(weight, self.per, self.group) / scales["scale"]
        table = torch.tensor(self.table, dtype=weight.dtype, device=weight.device)
        codes = torch.bucketize(relative, (table[1:] + table[:-1]) / 2, out_int32=True)
        return whole(codes.to(torch.uint8), self.per, weight.shape)

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        """Level times scale."""
        table = torch.tensor(self.table, dtype=scales["scale"].dtype, device=codes.device)
        blocks = table[into_blocks(codes, self.per, self.group).int()]
        return whole(blocks * scales["scale"], self.per, codes.shape)

    def _blocks(self) -> str:
        return {"tensor": "tensor", "channel": "channel", "group": f"group of {self.group}"}[self.per]


class NF4(Codebook):
    """4-bit NormalFloat: levels at the quantiles of a normal distribution, what QLoRA ships.

    Examples
    --------
    >>> NF4().label(), NF4().levels
    ('NF4', 16)
    """

    name: ClassVar[str] = "nf4"
    source: ClassVar[str] = "Dettmers et al., QLoRA (arXiv 2305.14314v1), section 3 and appendix E"
    examples: ClassVar[tuple[str, ...]] = ("nf4", "nf4(per=channel)")
    table: ClassVar[tuple[float, ...]] = NF4_LEVELS
    """The 16 published levels."""

    def title(self) -> str:
        return "NF4" if (self.per, self.group) == ("group", 64) else f"NF4 per {self._blocks()}"

    def explain(self) -> str:
        return (
            f"Each weight takes the nearest of 16 normal quantiles, scaled to the largest weight per {self._blocks()}."
        )


class FP4(Codebook):
    """4-bit floating point E2M1: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives, scaled to the largest weight.

    bitsandbytes' "fp4" is another table: its smallest level is 1/192 of the largest, not 1/12.

    Examples
    --------
    >>> FP4().label(), FP4().levels
    ('FP4', 15)
    """

    name: ClassVar[str] = "fp4"
    source: ClassVar[str] = "OCP Microscaling Formats v1.0, section 5.3.3 (E2M1); scale per block unrounded"
    examples: ClassVar[tuple[str, ...]] = ("fp4", "fp4(per=channel)")

    @property
    def table(self) -> tuple[float, ...]:
        """15 different levels in 4 bits."""
        return tuple(sorted(FP4_LEVELS))

    def title(self) -> str:
        return "FP4" if (self.per, self.group) == ("group", 64) else f"FP4 per {self._blocks()}"

    def explain(self) -> str:
        return f"Each weight takes the nearest E2M1 number, scaled to the largest weight per {self._blocks()}."


class PowerOfTwo(Codebook):
    """Zero and signed powers of two: multiplications become shifts.

    The largest power is 2^floor(log2(4/3 max|w|)), below which the largest weight rounds to nearest.

    Examples
    --------
    >>> import torch
    >>> w = torch.tensor([[1.0, 0.3, -0.05]])
    >>> PowerOfTwo(bits=3).fake_quantize(w, PowerOfTwo(bits=3).fit(w))
    tensor([[1.0000, 0.2500, 0.0000]])
    """

    name: ClassVar[str] = "power_of_two"
    source: ClassVar[str] = "Zhou et al., Incremental Network Quantization (arXiv 1702.03044v2), eq. 1-4"
    examples: ClassVar[tuple[str, ...]] = ("power_of_two(bits=4)", "power_of_two(bits=3, per=channel)")
    always_named: ClassVar[frozenset[str]] = frozenset({"bits"})
    bits: int = Field(default=4, ge=2, le=6)
    per: Per = "tensor"

    @property
    def table(self) -> tuple[float, ...]:
        """Zero, and 2^0 .. 2^-(2^(bits-1) - 2) with both signs."""
        powers = [2.0**-j for j in range(2 ** (self.bits - 1) - 1)]
        return tuple(sorted([-p for p in powers] + [0.0] + powers))

    def fit(self, weight: Tensor) -> Scales:
        """Return the largest power of two in use."""
        largest = into_blocks(weight, self.per, self.group).abs().amax(-1, keepdim=True)
        return {"scale": torch.where(largest > 0, torch.exp2(torch.floor(torch.log2(positive(largest) * 4 / 3))), 1)}

    def title(self) -> str:
        return f"{self.bits}-bit powers of two" + ("" if self.per == "tensor" else f" per {self._blocks()}")

    def explain(self) -> str:
        powers = f"{self.levels - 1} signed powers of two"
        return f"Each weight takes the nearest of 0 and {powers}, the largest chosen per {self._blocks()}."


class KMeans(Scheme):
    """Levels learnt from the weights: Lloyd's k-means in one dimension, started evenly over the range.

    Examples
    --------
    >>> import torch
    >>> w = torch.tensor([[0.0, 0.1, 5.0, 5.1]])
    >>> kmeans = KMeans(bits=1)
    >>> kmeans.fake_quantize(w, kmeans.fit(w))
    tensor([[0.0500, 0.0500, 5.0500, 5.0500]])
    """

    name: ClassVar[str] = "kmeans"
    by_rows: ClassVar[bool] = True
    source: ClassVar[str] = "Han et al., Deep Compression (arXiv 1510.00149v5), section 3; Lloyd (IEEE T-IT 28, 1982)"
    examples: ClassVar[tuple[str, ...]] = ("kmeans(bits=4)", "kmeans(bits=2, per=channel)")
    always_named: ClassVar[frozenset[str]] = frozenset({"bits"})
    bits: int = Field(default=4, ge=1, le=8)
    per: Literal["tensor", "channel"] = "tensor"
    iterations: int = Field(default=50, ge=1)
    """Most Lloyd steps; it stops earlier when no level moves."""
    idempotent: ClassVar[bool] = False
    """Lloyd started again from even levels may settle elsewhere."""

    @property
    def levels(self) -> int:
        return int(2**self.bits)

    def fit(self, weight: Tensor) -> Scales:
        """Lloyd's algorithm on sorted weights: a cluster's mean is a difference of prefix sums."""
        ordered = into_blocks(weight, self.per, 1).sort(dim=-1).values  # (b, rows, p)
        values = ordered.double()
        sums = torch.nn.functional.pad(values.cumsum(-1), (1, 0))  # (b, rows, p + 1)
        position = torch.linspace(0, 1, self.levels, dtype=values.dtype, device=values.device)
        levels = values[..., :1] + (values[..., -1:] - values[..., :1]) * position  # (b, rows, k)
        for _ in range(self.iterations):
            inner = torch.searchsorted(values, (levels[..., 1:] + levels[..., :-1]) / 2)
            ends = torch.nn.functional.pad(inner, (1, 0))
            ends = torch.nn.functional.pad(ends, (0, 1), value=values.shape[-1])  # (b, rows, k + 1)
            count = ends.diff(dim=-1)
            mean = sums.gather(-1, ends).diff(dim=-1) / count.clamp_min(1)
            moved = torch.where(count > 0, mean, levels)  # an empty cluster stays where it is
            if torch.equal(moved, levels):
                break
            levels = moved
        return {"levels": levels.sort(dim=-1).values.to(weight.dtype)}

    def encode(self, weight: Tensor, scales: Scales) -> Tensor:
        """Nearest level."""
        blocks = into_blocks(weight, self.per, 1)
        levels = scales["levels"].expand(len(weight), -1, -1)
        middle = ((levels[..., 1:] + levels[..., :-1]) / 2).contiguous()
        codes = torch.searchsorted(middle, blocks.contiguous(), out_int32=True)
        return whole(codes.to(torch.uint8), self.per, weight.shape)

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        """Look the level up."""
        blocks = into_blocks(codes, self.per, 1).long()
        levels = scales["levels"].expand(len(codes), -1, -1)
        return whole(levels.gather(-1, blocks), self.per, codes.shape)

    def title(self) -> str:
        return f"{self.bits}-bit k-means" + (" per channel" if self.per == "channel" else "")

    def explain(self) -> str:
        return f"Each weight takes the nearest of {self.levels} levels learnt by k-means, one codebook per {self.per}."
