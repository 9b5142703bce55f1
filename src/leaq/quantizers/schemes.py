"""The core schemes, in plain batched torch: sign, ternary, uniform, and full precision as the reference."""

from math import prod
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from leaq.quantizers.scheme import Bits, Frozen, Scales, Scheme, trits_per_code
from leaq.types import Checkpoints

__all__ = ["Identity", "Sign", "Ternary", "Uniform"]

Per = Literal["tensor", "channel", "group"]


class Identity(Scheme):
    """Full precision: the reference every drop and size is measured against."""

    name: ClassVar[str] = "none"
    source: ClassVar[str] = "IEEE 754 float32"

    @property
    def levels(self) -> int:
        """Every float32."""
        return 2**32

    def label(self) -> str:
        """Short text for tables."""
        return "full precision"

    def describe(self) -> str:
        """Say what happens to the weights."""
        return "Weights stay 32-bit floating-point numbers."

    def __call__(self, checkpoints: Checkpoints, calibration: Any = None) -> Checkpoints:
        """Return the checkpoints as they are."""
        return checkpoints

    def frozen_to(self, reference: Checkpoints) -> Frozen:
        """Return a quantizer that changes nothing; there are no scales to fix."""
        return _Unchanged(self, {}, reference.batch)

    def bits_per_weight(self, checkpoints: Checkpoints) -> Bits:
        """32 bits; their entropy is not estimated."""
        return Bits(32.0, 32.0)


class _Unchanged(Frozen):
    def __call__(self, checkpoints: Checkpoints, calibration: Any = None) -> Checkpoints:
        return checkpoints


class Sign(Scheme):
    """One bit a weight: its sign times the mean magnitude (of the tensor, or of each output channel).

    Examples
    --------
    >>> import torch
    >>> sign = Sign()
    >>> w = torch.tensor([[0.5, -1.5]])
    >>> sign.decode(sign.encode(w, sign.fit(w)), sign.fit(w))
    tensor([[ 1., -1.]])
    """

    name: ClassVar[str] = "sign"
    source: ClassVar[str] = "Rastegari et al., XNOR-Net (arXiv 1603.05279v4), section 3.1: alpha = mean |w|"
    per: Literal["tensor", "channel"] = "tensor"

    @property
    def levels(self) -> int:
        """Two: minus and plus."""
        return 2

    def fit(self, weight: Tensor) -> Scales:
        """Mean magnitude; the least-squares scale for a given sign pattern."""
        return {"scale": weight.abs().mean(dim=_axes(weight, self.per), keepdim=True)}

    def encode(self, weight: Tensor, scales: Scales) -> Tensor:
        """0 for negative weights, 1 otherwise (a weight of exactly 0 counts as positive)."""
        return (weight >= 0).to(torch.uint8)

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        """Sign times scale."""
        return (2 * codes.to(scales["scale"].dtype) - 1) * scales["scale"]

    def label(self) -> str:
        """Short text for tables."""
        return "sign" if self.per == "tensor" else "sign per channel"

    def describe(self) -> str:
        """Say what happens to the weights."""
        return f"Each weight becomes plus or minus the mean magnitude of its {self.per} (1 bit)."


class Ternary(Scheme):
    """1.58 bits a weight: the smallest share `sparsity` becomes 0, the others plus or minus one scale.

    The scale is the mean magnitude of the survivors, the least-squares choice for a given pattern.
    """

    name: ClassVar[str] = "ternary"
    source: ClassVar[str] = "Li et al., Ternary Weight Networks (arXiv 1605.04711v3), eq. 5, at a given sparsity"
    always_named: ClassVar[frozenset[str]] = frozenset({"sparsity"})
    sparsity: float = Field(default=0.5, ge=0, lt=1)

    @property
    def levels(self) -> int:
        """Three: minus, zero, plus."""
        return 3

    @property
    def code_bits(self) -> float:
        """Five codes to a byte."""
        return trits_per_code()

    def fit(self, weight: Tensor) -> Scales:
        """Threshold halfway between the largest dropped and the smallest kept magnitude, and the survivors' mean."""
        ordered = weight.abs().flatten(1).sort(dim=1).values  # (b, p)
        dropped = self._dropped(ordered.shape[1])
        kept = ordered[:, dropped]
        below = ordered[:, dropped - 1] if dropped else torch.zeros_like(kept)
        # Halfway, unless the two tie: then every tied weight is kept, so that a constant tensor is never erased.
        scales = {"scale": ordered[:, dropped:].mean(dim=1), "threshold": (below + kept) / 2}
        return {key: value.reshape(-1, *[1] * (weight.ndim - 1)) for key, value in scales.items()}

    def _dropped(self, count: int) -> int:
        return min(round(self.sparsity * count), count - 1)

    def encode(self, weight: Tensor, scales: Scales) -> Tensor:
        """0 minus, 1 zero, 2 plus."""
        keep = weight.abs() >= scales["threshold"]
        positive = weight >= 0
        return torch.where(keep, torch.where(positive, 2, 0), 1).to(torch.uint8)

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        """Code minus one, times scale."""
        return (codes.to(scales["scale"].dtype) - 1) * scales["scale"]

    def label(self) -> str:
        """Short text for tables."""
        return f"ternary {self.sparsity:.0%} sparse"

    def describe(self) -> str:
        """Say what happens to the weights."""
        return (
            f"The {self.sparsity:.0%} smallest weights of each tensor become 0, the others plus or minus their mean "
            "magnitude (1.58 bits)."
        )


class Uniform(Scheme):
    """Evenly spaced levels, rounded to nearest: what most shipped integer formats do.

    Examples
    --------
    >>> Uniform(bits=4).spec()
    'uniform(bits=4)'
    >>> Uniform(bits=2, per="tensor").label()
    '2-bit'
    """

    name: ClassVar[str] = "uniform"
    source: ClassVar[str] = "Jacob et al. (arXiv 1712.05877v1), section 2.1; Nagel et al. (arXiv 2106.08295v1)"
    bits: int = Field(ge=1, le=8)
    per: Per = "channel"
    symmetric: bool = True
    scale: Literal["absmax", "percentile", "mse"] = "absmax"
    group: int = Field(default=32, ge=2)
    """Weights that share a scale with per="group", counted along the flattened input of each channel."""

    @model_validator(mode="after")
    def _one_bit_is_asymmetric(self) -> "Uniform":
        if self.bits == 1 and self.symmetric:
            raise ValueError(
                "one symmetric bit has the single level 0 and would erase every weight; use sign, or symmetric=False"
            )
        return self

    @property
    def levels(self) -> int:
        """2^bits, less one when symmetric around 0."""
        return int(2**self.bits) - int(self.symmetric)

    def fit(self, weight: Tensor) -> Scales:
        """Range of each tensor, channel or group: the extremes, the 99.9th percentile, or the best in squared error."""
        blocks = self._blocks(weight)
        if self.scale == "percentile":
            low, high = _percentiles(blocks)
        else:
            low, high = blocks.amin(-1, keepdim=True), blocks.amax(-1, keepdim=True)
        if self.scale == "mse":
            return self._best_of_shrinks(blocks, low, high)
        return self._step(low, high)

    def _step(self, low: Tensor, high: Tensor) -> Scales:
        if self.symmetric:
            step = torch.maximum(low.abs(), high.abs()) / (self.levels // 2)
            return {"step": _positive(step)}
        step = _positive((high - low) / (self.levels - 1))
        return {"step": step, "low": low}

    def _best_of_shrinks(self, blocks: Tensor, low: Tensor, high: Tensor) -> Scales:
        """Try 40 ranges between 20 % and 100 % of the full one, keep each block's best."""
        best: Scales = {}
        error = torch.full_like(low, torch.inf)
        for shrink in torch.linspace(0.2, 1.0, 41, dtype=blocks.dtype).tolist():
            scales = self._step(low * shrink, high * shrink)
            squared = (self._decode(self._encode(blocks, scales), scales) - blocks).square().sum(-1, keepdim=True)
            better = squared < error
            error = torch.where(better, squared, error)
            best = {key: torch.where(better, value, best.get(key, value)) for key, value in scales.items()}
        return best

    def encode(self, weight: Tensor, scales: Scales) -> Tensor:
        """Nearest level, clipped to the range; codes count from 0."""
        return self._unblock(self._encode(self._blocks(weight), scales), weight.shape)

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        """Code times step, from the middle or from the low end."""
        return self._unblock(self._decode(self._blocks(codes), scales), codes.shape)

    def _encode(self, blocks: Tensor, scales: Scales) -> Tensor:
        half = self.levels // 2
        steps = blocks / scales["step"] + half if self.symmetric else (blocks - scales["low"]) / scales["step"]
        return steps.round().clamp(0, self.levels - 1).to(torch.uint8)

    def _decode(self, blocks: Tensor, scales: Scales) -> Tensor:
        codes = blocks.to(scales["step"].dtype)
        if self.symmetric:
            return (codes - self.levels // 2) * scales["step"]
        return codes * scales["step"] + scales["low"]

    def _blocks(self, tensor: Tensor) -> Tensor:
        """View (b, *shape) as (b, blocks, size): one scale a block. The last group is padded with copies."""
        if self.per == "tensor":
            return tensor.flatten(1).unsqueeze(1)
        rows = tensor.flatten(2) if tensor.ndim > 2 else tensor.unsqueeze(1)  # (b, out, in)
        if self.per == "channel":
            return rows
        missing = -rows.shape[-1] % self.group
        if missing:
            rows = torch.cat([rows, rows[..., -1:].expand(*rows.shape[:-1], missing)], dim=-1)
        return rows.reshape(rows.shape[0], -1, self.group)

    def _unblock(self, blocks: Tensor, shape: torch.Size) -> Tensor:
        if self.per != "group":
            return blocks.reshape(shape)
        rows = shape[1] if len(shape) > 2 else 1
        return blocks.reshape(shape[0], rows, -1)[..., : prod(shape[1:]) // rows].reshape(shape)

    def label(self) -> str:
        """Short text for tables."""
        parts = [
            f"{self.bits}-bit",
            {"tensor": "", "channel": "per channel", "group": f"groups of {self.group}"}[self.per],
        ]
        parts += [] if self.symmetric else ["asymmetric"]
        parts += [] if self.scale == "absmax" else [self.scale]
        return " ".join(part for part in parts if part)

    def describe(self) -> str:
        """Say what happens to the weights."""
        kind = "symmetric around 0" if self.symmetric else "spanning the range"
        return f"Each weight is rounded to the nearest of {self.levels} even levels {kind}, one scale per {self.per}."


def _axes(weight: Tensor, per: str) -> tuple[int, ...]:
    """Axes that share a scale: everything but the model axis, or also but the output channel."""
    return tuple(range(2 if per == "channel" and weight.ndim > 2 else 1, weight.ndim))


def _positive(step: Tensor) -> Tensor:
    """Replace a zero step (an all-zero or constant block) by 1, which still represents it exactly."""
    return torch.where(step > 0, step, torch.ones_like(step))


def _percentiles(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Return the 0.1 and 99.9 percentiles of each block; sorting, since torch.quantile refuses large inputs."""
    ordered = blocks.sort(dim=-1).values
    last = blocks.shape[-1] - 1
    return ordered[..., [round(0.001 * last)]], ordered[..., [round(0.999 * last)]]
