"""Sign and ternary: one and 1.58 bits a weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from leaq.lazy import Tensor, torch
from leaq.quantizers.applying import Scales
from leaq.quantizers.blocks import axes, order_statistic
from leaq.quantizers.scheme import Refit, Scheme, trits_per_code

if TYPE_CHECKING:
    from leaq.quantizers.calibration import Inputs


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
    by_rows: ClassVar[bool] = True
    source: ClassVar[str] = "Rastegari et al., XNOR-Net (arXiv 1603.05279v4), section 3.1: alpha = mean |w|"
    examples: ClassVar[tuple[str, ...]] = ("sign", "sign(per=channel)", "sign(scale=one)")
    per: Literal["tensor", "channel"] = "tensor"
    scale: Literal["mean", "one"] = "mean"
    """Mean magnitude (XNOR-Net), or plain signs without a scale."""
    levels: ClassVar[int] = 2
    """Two: minus and plus."""
    idempotent: ClassVar[bool] = True
    """Signs of signs are the same signs."""

    def fit(self, weight: Tensor) -> Scales:
        """Mean magnitude; the least-squares scale for a given sign pattern."""
        mean = weight.abs().mean(dim=axes(weight, self.per), keepdim=True)
        return {"scale": mean if self.scale == "mean" else torch.ones_like(mean)}

    def encode(self, weight: Tensor, scales: Scales) -> Tensor:
        """0 for negative weights, 1 otherwise (a weight of exactly 0 counts as positive)."""
        return (weight >= 0).to(torch.uint8)

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        """Sign times scale."""
        return (2 * codes.to(scales["scale"].dtype) - 1) * scales["scale"]

    @property
    def reveals_infinite(self) -> bool:
        """A mean is finite only if all magnitudes are."""
        return self.scale == "mean"

    def fake_quantize(self, weight: Tensor, scales: Scales, out: Tensor | None = None) -> Tensor:
        """Encode and decode in one pass; -0.0 counts as plus, as `encode` has it."""
        plus = torch.ge(weight, 0.0, out=torch.empty_like(weight) if out is None else out)
        return plus.mul_(2 * scales["scale"]).sub_(scales["scale"])

    def title(self) -> str:
        name = "sign" if self.scale == "mean" else "plain sign"
        return name if self.per == "tensor" else f"{name} per channel"

    def explain(self) -> str:
        scale = f"the mean magnitude of its {self.per}" if self.scale == "mean" else "1"
        return f"Each weight becomes plus or minus {scale} (1 bit)."


class _Ternary(Scheme):
    """Minus, zero or plus one scale: the mean magnitude of the survivors, least squares for a given pattern."""

    by_rows: ClassVar[bool] = True
    levels: ClassVar[int] = 3
    """Three: minus, zero, plus."""

    @property
    def code_bits(self) -> float:
        """Five codes to a byte."""
        return trits_per_code()

    def encode(self, weight: Tensor, scales: Scales) -> Tensor:
        """0 minus, 1 zero, 2 plus."""
        keep = weight.abs() >= scales["threshold"]
        positive = weight >= 0
        return torch.where(keep, torch.where(positive, 2, 0), 1).to(torch.uint8)

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        """Code minus one, times scale."""
        return (codes.to(scales["scale"].dtype) - 1) * scales["scale"]

    def fake_quantize(self, weight: Tensor, scales: Scales, out: Tensor | None = None) -> Tensor:
        """Encode and decode in one pass: how many of two thresholds a weight reaches; a weight of 0 counts as plus."""
        threshold = scales["threshold"]
        below = -torch.where(threshold > 0, threshold, torch.nextafter(threshold, threshold + 1))
        plus = torch.ge(weight, threshold, out=torch.empty_like(weight) if out is None else out)
        return plus.sub_(torch.le(weight, below, out=torch.empty_like(weight))).mul_(scales["scale"]).add_(0.0)


class Ternary(_Ternary):
    """1.58 bits a weight: the smallest share `sparsity` becomes 0, the others plus or minus one scale.

    Examples
    --------
    >>> import torch
    >>> ternary = Ternary(sparsity=0.5)
    >>> w = torch.tensor([[0.1, -0.2, 3.0, -1.0]])
    >>> ternary.fake_quantize(w, ternary.fit(w))
    tensor([[ 0.,  0.,  2., -2.]])
    """

    name: ClassVar[str] = "ternary"
    source: ClassVar[str] = "Li et al., Ternary Weight Networks (arXiv 1605.04711v3), eq. 5, at a given sparsity"
    examples: ClassVar[tuple[str, ...]] = tuple(f"ternary(sparsity={s})" for s in (0.5, 0.33, 0.75, 0.9))
    always_named: ClassVar[frozenset[str]] = frozenset({"sparsity"})
    sparsity: float = Field(default=0.5, ge=0, lt=1)
    keep: Literal["magnitude", "inputs"] = "magnitude"
    """Which weights survive: the largest, or those largest times the root mean square of what they are multiplied with
    on the calibration records (Wanda, arXiv 2306.11695v3, eq. 1, over the tensor). An input that hardly ever occurs
    there is dropped, however much the few members that have it have moved its weights."""
    kept_as: ClassVar[str] = "plus or minus their mean magnitude (1.58 bits)"
    """What the weights that survive become."""

    @property
    def looks(self) -> bool:
        """Also where inputs decide what survives."""
        return self.keep == "inputs" or super().looks

    def fit_on(self, weight: Tensor, inputs: Inputs) -> Scales:
        """Weigh each weight by its inputs for the threshold; the scale is still the survivors' mean magnitude."""
        if self.keep == "magnitude":
            return self.fit(weight)
        shares = inputs.shares / inputs.shares.sum(1, keepdim=True)
        size = torch.bmm(shares.unsqueeze(1), inputs.records.square()).sqrt()  # (b, 1, in)
        size = torch.where(size.amax(2, keepdim=True) > 0, size, 1.0)  # no input ever occurs: magnitudes decide
        size = size.reshape(len(weight), 1, *weight.shape[2:])
        threshold = self.fit(weight * size)["threshold"] / torch.where(size > 0, size, 1.0)
        threshold = torch.where(size > 0, threshold, torch.inf)
        kept = weight.abs() >= threshold
        total, count = (part.flatten(1).sum(1) for part in (weight.abs() * kept, kept))
        return {"scale": (total / count.clamp_min(1)).reshape(-1, *[1] * (weight.ndim - 1)), "threshold": threshold}

    def fit(self, weight: Tensor) -> Scales:
        """Threshold halfway between the largest dropped and the smallest kept magnitude, and the survivors' mean."""
        magnitude = weight.abs().flatten(1)  # (b, p)
        count = magnitude.shape[1]
        dropped = min(round(self.sparsity * count), count - 1)
        kept = order_statistic(magnitude, dropped)
        less = magnitude < kept
        # Halfway, unless the two tie: then every tied weight is kept, so that a constant tensor is never erased.
        tied = less.count_nonzero(1).unsqueeze(1) < dropped  # counted: a sum would make a whole number of each first
        below = torch.where(tied, kept, torch.where(less, magnitude, 0.0).amax(1, keepdim=True))
        more = torch.gt(magnitude, kept, out=less)
        share = count - dropped - more.count_nonzero(1).unsqueeze(1)  # how many of the kept ones equal the smallest
        scale = (torch.where(more, magnitude, 0.0).sum(1, keepdim=True) + kept * share) / (count - dropped)
        scales = {"scale": scale, "threshold": (below + kept) / 2}
        return {key: value.reshape(-1, *[1] * (weight.ndim - 1)) for key, value in scales.items()}

    def title(self) -> str:
        return f"ternary {self.sparsity:.0%} sparse" + " by inputs" * (self.keep == "inputs")

    def explain(self) -> str:
        weighed = ", each weighed by the size of its input on the calibration records," * (self.keep == "inputs")
        return f"The {self.sparsity:.0%} smallest weights of each tensor{weighed} become 0, the others {self.kept_as}."


class SparseRefit(Ternary):
    """Few ternary codes, chosen by inputs, with refitted scales and biases: made to leak little.

    What `ternary(keep=inputs, refit=outputs)` is. Calibrated on records that train no model (``calibrated=elsewhere``),
    the refit looks at no member; what is left of the members lies in the few codes.
    """

    name: ClassVar[str] = "sparse_refit"
    source: ClassVar[str] = "own; survivors as in Wanda (arXiv 2306.11695v3), imitation as in arXiv 1503.02531v1"
    examples: ClassVar[tuple[str, ...]] = ("sparse_refit(sparsity=0.9)", "sparse_refit(sparsity=0.9, refit=layers)")
    sparsity: float = Field(default=0.9, ge=0, lt=1)
    keep: Literal["magnitude", "inputs"] = "inputs"
    refit: Refit = "outputs"


class Twn(_Ternary):
    """Ternary weights with the threshold of Ternary Weight Networks: the weights themselves decide how many vanish.

    For Gaussian weights 0.7 E|w| drops 42 % of them.

    Examples
    --------
    >>> import torch
    >>> w = torch.tensor([[0.1, -0.2, 3.0, -1.0]])
    >>> Twn().fake_quantize(w, Twn().fit(w))
    tensor([[ 0.,  0.,  2., -2.]])
    """

    name: ClassVar[str] = "twn"
    source: ClassVar[str] = "Li et al., Ternary Weight Networks (arXiv 1605.04711v3), eq. 6: threshold 0.7 E|w|"
    examples: ClassVar[tuple[str, ...]] = ("twn", "twn(per=channel)")
    per: Literal["tensor", "channel"] = "tensor"

    def fit(self, weight: Tensor) -> Scales:
        """Threshold 0.7 times the mean magnitude, and the mean of what lies above."""
        shared = axes(weight, self.per)
        magnitude = weight.abs()
        threshold = 0.7 * magnitude.mean(dim=shared, keepdim=True)
        kept = magnitude >= threshold
        total = (magnitude * kept).sum(dim=shared, keepdim=True)
        return {"scale": total / kept.sum(dim=shared, keepdim=True).clamp_min(1), "threshold": threshold}

    def title(self) -> str:
        return "ternary (TWN)" if self.per == "tensor" else "ternary (TWN) per channel"

    def explain(self) -> str:
        return (
            f"Weights below 0.7 times the mean magnitude of their {self.per} become 0, the others plus or minus the "
            "mean magnitude of those that remain (1.58 bits)."
        )
