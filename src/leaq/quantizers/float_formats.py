"""Casts to a shorter floating-point format."""

from __future__ import annotations

from typing import ClassVar, Literal

from leaq.errors import InvalidInput
from leaq.lazy import Tensor, torch
from leaq.quantizers.applying import Scales
from leaq.quantizers.blocks import extremes, into_blocks, normal, positive, whole
from leaq.quantizers.scheme import Scheme

FLOAT8 = {"e4m3": "float8_e4m3fn", "e5m2": "float8_e5m2"}
EXPONENT = {"torch.float32": ("int32", 0xFF << 23), "torch.float64": ("int64", 0x7FF << 52)}
"""Where the exponent stands in the bit pattern of a number: an integer type, and a mask."""


def float8(kind: str) -> torch.dtype:
    """Return torch's type of a format, "e4m3" or "e5m2"."""
    found: torch.dtype = getattr(torch, FLOAT8[kind])
    return found


def read_float8(bits: Tensor, kind: str, dtype: torch.dtype) -> Tensor:
    """Return the numbers that float8 bit patterns stand for: what ``bits.view(float8).to(dtype)`` does, faster.

    E5M2 is the upper byte of float16. E4M3 keeps its sign there and shifts the rest by one bit less, which gives the
    number times 2^-8, since its exponent is biased by 7 and that of float16 by 15.
    """
    wide = bits.to(torch.int16)
    if kind == "e5m2":
        return (wide << 8).view(torch.float16).to(dtype)
    return ((wide & 0x80) << 8).bitwise_or_((wide & 0x7F) << 7).view(torch.float16).to(dtype).mul_(256)


class _Half(Scheme):
    """A 16-bit format; the code of a weight is its bit pattern."""

    by_rows: ClassVar[bool] = True
    levels: ClassVar[int] = 2**16

    @property
    def dtype(self) -> torch.dtype:
        """The format, as torch names it."""
        found: torch.dtype = getattr(torch, self.name)
        return found

    def fit(self, weight: Tensor) -> Scales:
        """Nothing to fit, but weights beyond the format's range are refused: they would become infinite."""
        most = torch.finfo(self.dtype).max
        low, high = weight.aminmax() if weight.numel() else (0.0, 0.0)
        if max(-float(low), float(high)) > most:
            beyond = int((weight.abs() > most).sum())
            raise InvalidInput(
                f"{self.name}: weights must lie within +-{most:g}. Found {beyond} beyond it, the largest "
                f"{float(weight.abs().max()):g}. Use bfloat16, or scale the model down."
            )
        return {}

    def encode(self, weight: Tensor, scales: Scales) -> Tensor:
        """Bit pattern as an integer 0..65535."""
        return weight.to(self.dtype).view(torch.int16).to(torch.int32) & 0xFFFF

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        """Read the bit pattern, as a number of the short format."""
        return torch.where(codes >= 2**15, codes - 2**16, codes).to(torch.int16).view(self.dtype)

    def fake_quantize(self, weight: Tensor, scales: Scales, out: Tensor | None = None) -> Tensor:
        short = weight.to(self.dtype)
        return short.to(weight.dtype) if out is None else out.copy_(short)

    def title(self) -> str:
        return self.name

    def explain(self) -> str:
        return f"Each weight is rounded to the nearest {self.name} number (16 bits)."


class Float16(_Half):
    """IEEE half precision: 11 significant bits, largest number 65504.

    Examples
    --------
    >>> import torch
    >>> Float16().fake_quantize(torch.tensor([[0.1]]), {}).item()
    0.0999755859375
    """

    name: ClassVar[str] = "float16"
    source: ClassVar[str] = "IEEE 754-2008 binary16"
    examples: ClassVar[tuple[str, ...]] = ("float16",)


class BFloat16(_Half):
    """Brain floating point: 8 significant bits, the range of float32.

    Examples
    --------
    >>> import torch
    >>> BFloat16().fake_quantize(torch.tensor([[0.1]]), {}).item()
    0.10009765625
    """

    name: ClassVar[str] = "bfloat16"
    source: ClassVar[str] = "Kalamkar et al. (arXiv 1905.12322v3)"
    examples: ClassVar[tuple[str, ...]] = ("bfloat16",)


class Float8(Scheme):
    """8-bit floating point, scaled so that the largest weight of each block is the format's largest number."""

    name: ClassVar[str] = "float8"
    by_rows: ClassVar[bool] = True
    source: ClassVar[str] = "Micikevicius et al., FP8 Formats for Deep Learning (arXiv 2209.05433v2)"
    examples: ClassVar[tuple[str, ...]] = (
        "float8(format=e4m3)",
        "float8(format=e5m2)",
        "float8(format=e4m3, per=tensor)",
    )
    always_named: ClassVar[frozenset[str]] = frozenset({"format"})
    format: Literal["e4m3", "e5m2"] = "e4m3"
    """4 exponent and 3 mantissa bits (largest number 448), or 5 and 2 (57344)."""
    per: Literal["tensor", "channel"] = "channel"
    levels: ClassVar[int] = 2**8
    """Every bit pattern; the few that stand for NaN or infinity are never used."""
    reveals_infinite: ClassVar[bool] = True
    """The largest magnitude is finite only if all are."""

    def fit(self, weight: Tensor) -> Scales:
        """Largest magnitude of each block over the format's largest number."""
        low, high = extremes(into_blocks(weight, self.per, 1))
        largest = torch.maximum(low.neg(), high)
        return {"scale": positive(largest / torch.finfo(float8(self.format)).max)}

    def encode(self, weight: Tensor, scales: Scales) -> Tensor:
        """Bit pattern as an integer 0..255; candidates beyond the fitted range are clipped to it."""
        cast = self._cast(into_blocks(weight, self.per, 1), scales)
        return whole(cast.view(torch.uint8), self.per, weight.shape)

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        """Read the bit pattern, times the scale."""
        blocks = into_blocks(codes, self.per, 1)
        return whole(
            read_float8(blocks, self.format, scales["scale"].dtype).mul_(scales["scale"]), self.per, codes.shape
        )

    def fake_quantize(self, weight: Tensor, scales: Scales, out: Tensor | None = None) -> Tensor:
        out = torch.empty_like(weight, memory_format=torch.contiguous_format) if out is None else out
        return self._fake_quantize(weight, scales, out, clip=True)

    def fit_fake_quantize(self, weight: Tensor, out: Tensor) -> Scales:
        """Quantize with the weights' own scales: their extremes are the format's, nothing needs clipping."""
        scales = self.fit(weight)
        self._fake_quantize(weight, scales, out, clip=not normal(scales["scale"]))
        return scales

    def _fake_quantize(self, weight: Tensor, scales: Scales, out: Tensor, *, clip: bool) -> Tensor:
        """Round to whole spacings of the format: the numbers a cast there and back gives, in less time."""
        if str(weight.dtype) not in EXPONENT:
            return super().fake_quantize(weight, scales, out)
        near = torch.div(into_blocks(weight, self.per, 1), scales["scale"], out=into_blocks(out, self.per, 1))
        most = torch.finfo(float8(self.format)).max
        spacing = self._spacing(near.clamp_(-most, most) if clip else near)
        near.div_(spacing).round_().mul_(spacing).mul_(scales["scale"])
        return out

    def _spacing(self, numbers: Tensor) -> Tensor:
        """How far apart the format's numbers are around each number: 2^exponent over 2^(mantissa bits)."""
        name, mask = EXPONENT[str(numbers.dtype)]
        power = numbers.view(getattr(torch, name)).bitwise_and(mask).view(numbers.dtype)  # 2^exponent, sign dropped
        info = torch.finfo(float8(self.format))
        return power.clamp_(min=info.smallest_normal).mul_(info.eps)

    def _cast(self, blocks: Tensor, scales: Scales) -> Tensor:
        dtype = float8(self.format)
        most = torch.finfo(dtype).max
        return (blocks / scales["scale"]).clamp_(-most, most).to(dtype)

    def title(self) -> str:
        return f"float8 {self.format}" + (" per channel" if self.per == "channel" else "")

    def explain(self) -> str:
        return (
            f"Each weight is rounded to the nearest float8 {self.format} number, scaled to the largest per {self.per}."
        )
