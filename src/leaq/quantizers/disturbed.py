"""Weights that stay floating-point numbers and lose something else: most of them, or their exactness.

What sparsity and noise do to a leak by themselves, beside schemes that round as well.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from leaq.lazy import Tensor, torch
from leaq.quantizers.applying import Scales
from leaq.quantizers.binary_ternary import Ternary
from leaq.quantizers.scheme import Scheme
from leaq.quantizers.stochastic_rounding import Noisy


class Single(Scheme):
    """Codes are the bits of a float32."""

    levels: ClassVar[int] = 2**32

    def codebook(self) -> Literal["continuous"]:
        """No codebook."""
        return "continuous"

    def encode(self, weight: Tensor, scales: Scales) -> Tensor:
        """Bits of what is left of the weight, as whole numbers."""
        return self._left(weight, scales).float().contiguous().view(torch.int32).long() & (2**32 - 1)

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        """Return the numbers with these bits."""
        return torch.where(codes >= 2**31, codes - 2**32, codes).to(torch.int32).view(torch.float32)

    def fake_quantize(self, weight: Tensor, scales: Scales, out: Tensor | None = None) -> Tensor:
        """Return what is left of the weight, as a float32."""
        found = self._left(weight, scales).float().to(weight.dtype)
        return found if out is None else out.copy_(found)

    def _left(self, weight: Tensor, scales: Scales) -> Tensor:
        raise NotImplementedError


class Pruned(Single, Ternary):
    """Pruning alone: the survivors of `Ternary` keep their values.

    Examples
    --------
    >>> pruned = Pruned(sparsity=0.5)
    >>> w = torch.tensor([[0.1, -0.2, 3.0, -1.0]])
    >>> pruned.fake_quantize(w, pruned.fit(w))
    tensor([[ 0.,  0.,  3., -1.]])
    """

    name: ClassVar[str] = "pruned"
    source: ClassVar[str] = "Han et al., Learning both Weights and Connections (arXiv 1506.02626v3), without retraining"
    examples: ClassVar[tuple[str, ...]] = ("pruned(sparsity=0.9)", "pruned(sparsity=0.9, refit=layers)")
    stored: ClassVar[frozenset[str]] = frozenset()
    sparsity: float = Field(default=0.9, ge=0, lt=1)
    code_bits: ClassVar[float] = 32.0
    """Stored densely."""
    kept_as: ClassVar[str] = "stay as they are"

    def _left(self, weight: Tensor, scales: Scales) -> Tensor:
        return torch.where(weight.abs() >= scales["threshold"], weight, 0.0)

    def title(self) -> str:
        return f"{self.sparsity:.0%} pruned" + " by inputs" * (self.keep == "inputs")


class Gaussian(Single, Noisy):
    """Gaussian noise on every weight, `sd` times the standard deviation of its tensor's weights."""

    name: ClassVar[str] = "gaussian"
    source: ClassVar[str] = "output perturbation: Chaudhuri et al. (arXiv 0912.0071v5); here without a guarantee"
    examples: ClassVar[tuple[str, ...]] = ("gaussian(sd=0.5)",)
    always_named: ClassVar[frozenset[str]] = frozenset({"sd"})
    stored: ClassVar[frozenset[str]] = frozenset()
    sd: float = Field(default=0.5, gt=0)

    def _fit(self, weight: Tensor) -> Scales:
        return {"scale": weight.flatten(1).std(1, correction=0).reshape(-1, *[1] * (weight.ndim - 1))}

    def _left(self, weight: Tensor, scales: Scales) -> Tensor:
        return weight + self.sd * scales["scale"] * self._noise(weight, scales, torch.randn)

    def title(self) -> str:
        return f"noise of {self.sd:g} sd"

    def explain(self) -> str:
        return f"Gaussian noise of {self.sd:g} standard deviations of its tensor's weights is added to each weight."
