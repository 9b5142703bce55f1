"""The contract of every quantizer, and what all of them share.

A scheme turns each quantizable weight tensor into integer codes and a few scales, and back. It defines four small
functions on stacked tensors ``(b, *shape)`` (``b`` models at once): `fit` (scales from weights), `encode`, `decode`
and the number of levels. Everything else - which parameters, stacks of any depth, frozen scales, bit counting,
names - is written once, here. Quantizers are pure functions: the checkpoints they are given stay untouched.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import log2, prod
from typing import Any, ClassVar

import torch
from torch import Tensor

from leaq.config import Config
from leaq.errors import InvalidInput
from leaq.results import Size
from leaq.types import Checkpoints

__all__ = ["Bits", "Frozen", "Scales", "Scheme", "quantizable"]

Scales = dict[str, Tensor]
"""What decoding needs beside the codes: tensors (b, ...) that broadcast against (b, *shape)."""

WEIGHTS = frozenset({"linear", "conv1d", "conv2d", "embedding"})


@dataclass(frozen=True)
class Bits:
    """Bits per quantized weight, scales included: as packed into a file, and as the entropy of the codes."""

    packed: float
    entropy: float


def quantizable(checkpoints: Checkpoints) -> tuple[str, ...]:
    """Return the names of the weights a quantizer touches, in forward order; biases, norms and scalers are not."""
    return tuple(name for name, role in checkpoints.roles.items() if role in WEIGHTS)


class Scheme(Config):
    """A quantizer: ``scheme(checkpoints)`` returns the same checkpoints with quantized, dequantized weights."""

    name: ClassVar[str] = ""
    """The registered name."""
    source: ClassVar[str] = ""
    """The paper or practice the scheme is taken from."""
    always_named: ClassVar[frozenset[str]] = frozenset()
    """Options that a specification names even at their default, because readers ask for them."""

    # -- what a scheme defines -------------------------------------------------------------------------------------

    def fit(self, weight: Tensor) -> Scales:
        """Return the scales of each of b stacked tensors, (b, ...) broadcastable against (b, *shape)."""
        raise NotImplementedError

    def encode(self, weight: Tensor, scales: Scales) -> Tensor:
        """Return integer codes (b, *shape)."""
        raise NotImplementedError

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        """Return the weights the codes stand for, (b, *shape)."""
        raise NotImplementedError

    @property
    def levels(self) -> int:
        """Number of different codes."""
        raise NotImplementedError

    @property
    def code_bits(self) -> float:
        """Bits a code takes in a packed file."""
        return float(max(1, (self.levels - 1).bit_length()))

    def label(self) -> str:
        """Short text for tables and figures."""
        raise NotImplementedError

    def describe(self) -> str:
        """Say in one sentence what is quantized, and how."""
        raise NotImplementedError

    # -- what all schemes share ------------------------------------------------------------------------------------

    def __call__(self, checkpoints: Checkpoints, calibration: Any = None) -> Checkpoints:
        """Quantize every checkpoint with its own scales.

        Raises
        ------
        InvalidInput
            If a weight is NaN or infinite; the message names the parameter.
        """
        quantized = {}
        for name, weight in _stacks(checkpoints):
            scales = self.fit(weight)
            quantized[name] = self.decode(self.encode(weight, scales), scales).to(weight.dtype)
        return _with(checkpoints, quantized)

    def codes(self, checkpoints: Checkpoints) -> dict[str, tuple[Tensor, Scales]]:
        """Return each weight's codes (b, *shape) and scales, with the batch axes flattened to b."""
        found = {}
        for name, weight in _stacks(checkpoints):
            scales = self.fit(weight)
            found[name] = (self.encode(weight, scales), scales)
        return found

    def frozen_to(self, reference: Checkpoints) -> "Frozen":
        """Fix the scales to those of `reference` (batch ``(s,)``), so that candidates form a finite set."""
        return Frozen(self, {name: self.fit(weight) for name, weight in _stacks(reference)}, reference.batch)

    def bits_per_weight(self, checkpoints: Checkpoints) -> Bits:
        """Count bits per quantized weight, scales included, averaged over the stacked models."""
        weights = packed = entropy = 0.0
        for codes, scales in self.codes(checkpoints).values():
            b, count = codes.shape[0], prod(codes.shape[1:])
            overhead = 32.0 * sum(tensor[0].numel() for tensor in scales.values())
            weights += count
            packed += self.code_bits * count + overhead
            entropy += sum(_entropy(codes[i]) for i in range(b)) / b * count + overhead
        if not weights:
            raise InvalidInput(
                f"{self.spec()}: the model must have linear, convolution or embedding weights. Found none."
            )
        return Bits(packed / weights, entropy / weights)

    def size(self, checkpoints: Checkpoints) -> Size:
        """Weigh one released model: bits per quantized weight, bytes of everything, compression against float32."""
        bits = self.bits_per_weight(checkpoints)
        batch = len(checkpoints.batch)
        count = {name: prod(tensor.shape[batch:]) for name, tensor in checkpoints.params.items()}
        names = set(quantizable(checkpoints))
        rest = 4 * sum(number for name, number in count.items() if name not in names)
        packed = bits.packed * sum(count[name] for name in names) / 8
        total = rest + round(packed)
        return Size(bits.packed, bits.entropy, total, 4 * sum(count.values()) / total)

    def spec(self) -> str:
        """Return the text that builds this quantizer again; options at their default are left out."""
        options = [
            f"{key}={getattr(self, key)}"
            for key, info in type(self).model_fields.items()
            if getattr(self, key) != info.default or key in self.always_named
        ]
        return f"{self.name}({', '.join(options)})" if options else self.name


@dataclass(frozen=True)
class Frozen:
    """A scheme with fixed scales: maps checkpoints of batch ``(s, c)`` onto one finite codebook per model."""

    scheme: Scheme
    scales: Mapping[str, Scales]
    batch: tuple[int, ...]

    def __call__(self, checkpoints: Checkpoints, calibration: Any = None) -> Checkpoints:
        """Quantize with the fixed scales; the leading batch axes must be those of the reference."""
        if checkpoints.batch[: len(self.batch)] != self.batch:
            raise InvalidInput(
                f"A quantizer frozen to models of batch {self.batch} cannot quantize batch {checkpoints.batch}."
            )
        repeat = prod(checkpoints.batch[len(self.batch) :])
        quantized = {}
        for name, weight in _stacks(checkpoints):
            scales = {key: value.repeat_interleave(repeat, 0) for key, value in self.scales[name].items()}
            quantized[name] = self.scheme.decode(self.scheme.encode(weight, scales), scales).to(weight.dtype)
        return _with(checkpoints, quantized)


def _stacks(checkpoints: Checkpoints) -> Iterator[tuple[str, Tensor]]:
    """Yield each quantizable weight with its batch axes flattened to one, (b, *shape); refuses NaN."""
    axes = len(checkpoints.batch)
    for name in quantizable(checkpoints):
        weight = checkpoints.params[name]
        if not torch.isfinite(weight).all():
            raise InvalidInput(f"Quantizing {name!r}: weights must be finite. Found NaN or infinite values.")
        yield name, weight.reshape(-1, *weight.shape[axes:])


def _with(checkpoints: Checkpoints, quantized: dict[str, Tensor]) -> Checkpoints:
    return checkpoints.replace(
        {name: tensor.reshape(checkpoints.params[name].shape) for name, tensor in quantized.items()}
    )


def _entropy(codes: Tensor) -> float:
    """Shannon entropy of the code frequencies, in bits per code."""
    counts = torch.bincount(codes.flatten().long()).double()
    counts = counts[counts > 0]
    share = counts / counts.sum()
    return float(-(share * share.log2()).sum()) if len(share) > 1 else 0.0


def trits_per_code() -> float:
    """Bits of one ternary code packed five to a byte (3^5 = 243 of 256 values): 1.6, against log2(3)."""
    return 8 / int(8 / log2(3))
