"""Rounding decided on calibration records: GPTQ, AdaRound, bias correction.

All are batched over the model axis, and none makes a layer's output worse on its calibration records than rounding to
nearest does: rows where it would keep the nearest levels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from leaq.errors import InvalidInput
from leaq.lazy import Tensor, torch
from leaq.quantizers.applying import Scales
from leaq.quantizers.blocks import Per, into_blocks, whole
from leaq.quantizers.scheme import Needs, Scheme
from leaq.quantizers.uniform import Uniform

if TYPE_CHECKING:
    from leaq.quantizers.calibration import Inputs


def output_error(moment: Tensor, change: Tensor) -> Tensor:
    """Mean squared change of each output over the calibration records, (b, out): diag(D E[xx'] D')."""
    return torch.matmul(change, moment).mul_(change).sum(-1)


class _Calibrated(Uniform):
    """Uniform levels, with codes chosen on calibration records; scales are fitted as `Uniform` does."""

    wants: ClassVar[Needs] = Needs(calibration=True)
    by_rows: ClassVar[bool] = False
    bits: int = Field(default=4, ge=1, le=8)
    always_named: ClassVar[frozenset[str]] = frozenset({"bits"})
    idempotent: ClassVar[bool] = False
    """Not promised: the largest weight of a row may be rounded down, and the range with it."""

    def fake_quantize(self, weight: Tensor, scales: Scales, out: Tensor | None = None) -> Tensor:
        """Decode the chosen codes."""
        return Scheme.fake_quantize(self, weight, scales, out)

    def explain(self) -> str:
        kind = "symmetric around 0" if self.symmetric else "spanning the range"
        return (
            f"Each weight becomes one of {self.levels} even levels {kind}, one scale per {self.per}; which one is "
            f"decided {self._how()}. Weights that are looked up (embeddings), and those of grouped convolutions, are "
            "rounded to nearest."
        )

    def _how(self) -> str:
        raise NotImplementedError

    def _nearest_codes(self, weight: Tensor, scales: Scales) -> Tensor:
        return super().encode(weight, scales)

    def _better_rows(self, weight: Tensor, codes: Tensor, scales: Scales, moment: Tensor) -> Tensor:
        """Keep `codes` in rows where they beat rounding to nearest on the calibration records."""
        nearest = self._nearest_codes(weight, scales)
        errors = [output_error(moment, (self.decode(tried, scales) - weight).flatten(2)) for tried in (codes, nearest)]
        better = (errors[0] < errors[1]).reshape(*weight.shape[:2], *[1] * (weight.ndim - 2))
        return torch.where(better, codes, nearest)


class Gptq(_Calibrated):
    """Second-order rounding: columns are rounded in turn, and each one's error is made good by those still to come.

    With x the inputs of the layer and H = E[xx'] + damping mean(diag H) I, column j is rounded and the others
    change by -(error / U_jj) U_j, where U is the upper Cholesky factor of H^-1. Inputs that are always 0 keep their
    nearest level.

    Fitted to a released model, scales and H are that model's: every checkpoint then goes through the same map.
    """

    name: ClassVar[str] = "gptq"
    source: ClassVar[str] = "Frantar et al., GPTQ (arXiv 2210.17323v2), algorithm 1; Hassibi and Stork, OBS (1992)"
    examples: ClassVar[tuple[str, ...]] = ("gptq(bits=4)", "gptq(bits=3, per=group)", "gptq(bits=2, symmetric=False)")
    of_others: ClassVar[frozenset[str]] = frozenset({"moment", "factor"})
    damping: float = Field(default=0.01, gt=0)
    """Share of the mean diagonal of H that is added to the diagonal."""

    def fit_on(self, weight: Tensor, inputs: Inputs) -> Scales:
        """Scales, second moments and the Cholesky factor of their inverse, and the codes, which take long to find."""
        scales = {**self.fit(weight), "moment": inputs.moment, "factor": inputs.inverse_factor(self.damping)}
        return {**scales, "codes": self._in_turn(weight, scales), "reference": weight}

    def encode(self, weight: Tensor, scales: Scales) -> Tensor:
        """Return the codes found when it was fitted, for the weights it was fitted to; else round in turn."""
        if "codes" not in scales:  # no inputs are known, for example of an embedding
            return self._nearest_codes(weight, scales)
        seen = (weight == scales["reference"]).flatten(1).all(1)
        if bool(seen.all()):
            return scales["codes"].expand(weight.shape)
        if "factor" not in scales:
            raise InvalidInput(
                f"{self.spec()}: it was fitted to the released weights alone (Calibration(along=False)) and cannot "
                "quantize others. Fit it with along=True."
            )
        return torch.where(seen.reshape(-1, *[1] * (weight.ndim - 1)), scales["codes"], self._in_turn(weight, scales))

    def _in_turn(self, weight: Tensor, scales: Scales) -> Tensor:
        """Round column by column, `BLOCK` of them between two updates of the columns behind."""
        rest = weight.flatten(2).clone()  # (b, out, in)
        levels = self._columns(scales, rest.shape)
        codes = torch.empty_like(rest)
        factor = scales["factor"]
        for start in range(0, rest.shape[-1], self.BLOCK):
            part = slice(start, start + self.BLOCK)
            at = {key: value[..., part] if value.shape[-1] > 1 else value for key, value in levels.items()}
            errors = self._block(rest[..., part], codes[..., part], factor[:, part, part], at)
            behind = slice(part.stop, None)
            rest[..., behind] -= torch.matmul(errors, factor[:, part, behind])
        chosen = codes.to(torch.uint8).reshape(weight.shape)
        return self._better_rows(weight, chosen, scales, scales["moment"])

    BLOCK: ClassVar[int] = 64

    def _columns(self, scales: Scales, shape: torch.Size) -> Scales:
        """Spread the scales so that each column of the weights finds its own: (b or 1, out or 1, in or 1)."""
        if self.per != "group":
            return {key: scales[key] for key in ("step", "low") if key in scales}
        size = torch.Size((len(scales["step"]), *shape[1:]))
        spread: Scales = {}
        for key in ("step", "low"):
            if key in scales:
                repeated = scales[key].expand(-1, -1, self.group)  # (b, blocks, group)
                spread[key] = whole(repeated, "group", size)
        return spread

    def _block(self, rest: Tensor, codes: Tensor, factor: Tensor, levels: Scales) -> Tensor:
        """Round one block's columns in turn; returns what the columns behind must make good, (b, out, block)."""
        errors = torch.empty_like(rest)
        half = self.levels // 2 if self.symmetric else 0
        for j in range(rest.shape[-1]):
            at = {key: value[..., min(j, value.shape[-1] - 1)] for key, value in levels.items()}
            column = rest[..., j]
            steps = self._clip(self._round(self._position(column, at), at))
            codes[..., j] = steps + half
            errors[..., j] = (column - self._value(steps, at)) / factor[:, j, j].unsqueeze(-1)
            rest[..., j:] -= errors[..., j].unsqueeze(-1) * factor[:, j, j:].unsqueeze(1)
        return errors

    def title(self) -> str:
        return f"{super().title()} GPTQ"

    def _how(self) -> str:
        return "by second-order rounding on the calibration records"


class AdaRound(_Calibrated):
    """Learnt rounding: whether a weight goes up or down is optimised for the layer's output on calibration records.

    Each weight has a soft switch h(V) in [0, 1] (rectified sigmoid); the loss is the output's squared error plus a
    term that drives switches to 0 or 1 as its exponent falls. One optimiser steps the switches of all models.

    Fitted to a released model, the learnt decisions become boundaries: a checkpoint's weight is rounded to nearest
    except that the boundary between the two levels is moved just far enough for the released weight's decision.
    """

    name: ClassVar[str] = "adaround"
    source: ClassVar[str] = "Nagel et al., Up or Down? (arXiv 2004.10568v2), eq. 21-25"
    examples: ClassVar[tuple[str, ...]] = ("adaround(bits=4)", "adaround(bits=3, per=tensor)")
    iterations: int = Field(default=200, ge=1)
    learning_rate: float = Field(default=0.03, gt=0)
    strength: float = Field(default=0.01, ge=0)
    """Weight of the term that drives switches to 0 or 1, in units of the nearest levels' output error."""

    def fit_on(self, weight: Tensor, inputs: Inputs) -> Scales:
        """Scales, and the boundary between down and up of each weight: 1/2 where nearest is kept."""
        scales = self.fit(weight)
        position = self._position(into_blocks(weight, self.per, self.group), scales)
        position = whole(position, self.per, weight.shape)
        fraction = position - position.floor()
        with torch.enable_grad():
            up = self._learn(weight, fraction, scales, inputs)
        learnt = self._switched(position, up)
        chosen = self._better_rows(weight, learnt, scales, inputs.moment)
        differs = chosen != self._nearest_codes(weight, scales)
        # Just above the fraction where nearest would go up and AdaRound goes down, at the fraction where it is up.
        moved = torch.where(up, fraction, torch.nextafter(fraction, torch.full_like(fraction, 2.0)))
        return {**scales, "boundary": torch.where(differs, moved, torch.full_like(moved, 0.5))}

    def encode(self, weight: Tensor, scales: Scales) -> Tensor:
        """Up at or above the boundary, down below it; ties at 1/2 go to the even level, as in rounding to nearest."""
        if "boundary" not in scales:
            return self._nearest_codes(weight, scales)
        position = whole(self._position(into_blocks(weight, self.per, self.group), scales), self.per, weight.shape)
        nearest = self._nearest_codes(weight, scales)
        moved = scales["boundary"] != 0.5
        learnt = self._switched(position, position - position.floor() >= scales["boundary"])
        return torch.where(moved, learnt, nearest)

    def _switched(self, position: Tensor, up: Tensor) -> Tensor:
        half = self.levels // 2 if self.symmetric else 0
        return (self._clip(position.floor() + up) + half).to(torch.uint8)

    def _learn(self, weight: Tensor, fraction: Tensor, scales: Scales, inputs: Inputs) -> Tensor:
        """Return which weights go up, (b, *shape)."""
        step = whole(
            into_blocks(torch.ones_like(weight), self.per, self.group) * scales["step"], self.per, weight.shape
        )
        step, start = step.flatten(2), fraction.flatten(2)
        # (..) rectified sigmoid h(V) = clip(1.2 sigmoid(V) - 0.1), eq. 23; V starts where h(V) is the fraction lost.
        v = torch.logit((start.clamp(0.01, 0.99) + 0.1) / 1.2).requires_grad_()
        optimizer = torch.optim.Adam([v], lr=self.learning_rate)
        unit = output_error(inputs.moment, (start.round() - start) * step).sum(1).clamp_min(1e-30)  # (b,)
        for i in range(self.iterations):
            h = (1.2 * torch.sigmoid(v) - 0.1).clamp(0, 1)
            change = (h - start) * step
            loss = self._output_loss(change, inputs, i) / unit
            if i >= self.iterations // 5:  # warm start, then the exponent falls from 20 to 2
                beta = 2 + 18 * (1 - (i / self.iterations - 0.2) / 0.8)
                loss = loss + self.strength * (1 - (2 * h - 1).abs() ** beta).flatten(1).sum(1)
            optimizer.zero_grad(set_to_none=True)
            loss.sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return (v.detach() >= 0).reshape(weight.shape)

    BATCH: ClassVar[int] = 64

    def _output_loss(self, change: Tensor, inputs: Inputs, i: int) -> Tensor:
        """Mean squared change of the outputs, (b,): exact where the moments are small, else on a batch in turn."""
        if change.shape[-1] <= 2 * self.BATCH or inputs.records.shape[1] <= self.BATCH:
            return (torch.bmm(change, inputs.moment) * change).sum((1, 2))
        start = i * self.BATCH % (inputs.records.shape[1] - self.BATCH + 1)
        records, shares = (t[:, start : start + self.BATCH] for t in (inputs.records, inputs.shares))
        outputs = torch.bmm(records, change.transpose(1, 2)).square().sum(-1)  # (b, batch)
        return (outputs * shares).sum(1) / shares.sum(1).clamp_min(1)

    def title(self) -> str:
        return f"{super().title()} AdaRound"

    def _how(self) -> str:
        return "by learning to round up or down on the calibration records"


class BiasCorrection(Uniform):
    """Uniform levels, and biases shifted so that each output keeps its mean over the calibration records.

    The same correction is open to every scheme as the option ``bias=corrected``.
    """

    name: ClassVar[str] = "bias_correction"
    source: ClassVar[str] = "Nagel et al., Data-Free Quantization (arXiv 1906.04721v3), section 4.2, empirical form"
    examples: ClassVar[tuple[str, ...]] = ("bias_correction(bits=4)",)
    always_named: ClassVar[frozenset[str]] = frozenset({"bits"})
    bits: int = Field(default=4, ge=1, le=8)
    per: Per = "channel"
    bias: Literal["corrected"] = "corrected"

    def title(self) -> str:
        return f"{super().title()}, bias corrected"
