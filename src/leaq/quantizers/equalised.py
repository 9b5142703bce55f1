"""Data-free equalisation: move the ranges of neighbouring layers together before rounding, without any record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from leaq.errors import InvalidInput
from leaq.lazy import Tensor, torch
from leaq.quantizers.applying import Scales, State, bias_of, refuse_infinite, stacked
from leaq.quantizers.blocks import Per
from leaq.quantizers.calibration import Calibration, fit_state, layered
from leaq.quantizers.scheme import Needs
from leaq.quantizers.uniform import Uniform
from leaq.types import Checkpoints


class Equalised(Uniform):
    """Uniform levels after cross-layer equalisation, which evens out ranges without changing the function.

    Output i of a layer is divided by s_i and input i of the next multiplied by it; a ReLU between lets s_i through.
    s_i = sqrt(r1_i / r2_i) makes the range of row i of the first weight and of column i of the second both
    sqrt(r1_i r2_i). Works only across activations with f(s x) = s f(x) for s > 0: the model must say where they are
    (`leaq.models.protocols.Layered.homogeneous`). With one scale per channel the rows' ranges matter little: the
    default is one scale per tensor.
    """

    name: ClassVar[str] = "equalised"
    source: ClassVar[str] = "Nagel et al., Data-Free Quantization (arXiv 1906.04721v3), section 4.1, eq. 11"
    examples: ClassVar[tuple[str, ...]] = ("equalised(bits=4)",)
    wants: ClassVar[Needs] = Needs(model=True)
    always_named: ClassVar[frozenset[str]] = frozenset({"bits"})
    bits: int = Field(default=4, ge=1, le=8)
    per: Per = "tensor"
    sweeps: int = Field(default=10, ge=1)
    """Passes over all pairs of layers; each pass evens out what the next pair disturbed."""
    idempotent: ClassVar[bool] = False
    """Ranges differ again after rounding."""

    def fit_model(self, checkpoints: Checkpoints, calibration: Calibration | None) -> State:
        """Factors of each layer's rows and columns, and the scales of the equalised weights."""
        if calibration is None:
            raise InvalidInput(
                f"{self.spec()}: needs the architecture. Pass calibration=leaq.quantizers.Calibration(model, inputs), "
                "or the quantizer fitted with it: fitted_to(released, calibration)."
            )
        pairs = layered(self, calibration).homogeneous
        for name in self.plan(checkpoints):  # before a NaN spreads to the neighbouring layer
            refuse_infinite(name, stacked(checkpoints, name))
        chain = _Chain.of(checkpoints, [pair for pair in pairs if set(pair) <= set(self.plan(checkpoints))])
        for _ in range(self.sweeps):
            chain.sweep()
        factors = chain.factors()
        state = fit_state(self, self.prepare(checkpoints, factors), calibration)
        return {name: {**state.get(name, {}), **factors.get(name, {})} for name in {**state, **factors}}

    def prepare(self, checkpoints: Checkpoints, state: State, repeat: int = 1) -> Checkpoints:
        """Rescale weights and biases with fixed factors; the model computes the same."""
        rescaled = {}
        for name, scales in state.items():
            tensor = stacked(checkpoints, name)
            for key in ("rows", "columns"):
                if key in scales:
                    tensor = tensor * _along(scales[key].repeat_interleave(repeat, 0), tensor, 1 + (key == "columns"))
            rescaled[name] = tensor.reshape(checkpoints.params[name].shape)
        return checkpoints.replace(rescaled)

    def title(self) -> str:
        return f"{super().title()} equalised"

    def explain(self) -> str:
        return f"Ranges of neighbouring layers are evened out without data. {super().explain()}"


@dataclass
class _Chain:
    """Ranges of rows and columns, and the factor between each pair of layers; weights are never copied."""

    checkpoints: Checkpoints
    pairs: list[tuple[str, str]]
    between: dict[tuple[str, str], Tensor]

    @classmethod
    def of(cls, checkpoints: Checkpoints, pairs: list[tuple[str, str]]) -> _Chain:
        between = {pair: torch.ones_like(stacked(checkpoints, pair[0]).flatten(2)[..., 0]) for pair in pairs}
        return cls(checkpoints, pairs, between)

    def _weight(self, name: str) -> Tensor:
        """Return a weight's magnitudes under the current factors, (b, out, in, rest)."""
        magnitude = stacked(self.checkpoints, name).abs()
        magnitude = magnitude.reshape(*magnitude.shape[:3], -1).amax(-1)  # (b, out, in)
        for (first, second), s in self.between.items():
            if first == name:
                magnitude = magnitude / s.unsqueeze(2)
            if second == name:
                magnitude = magnitude * s.unsqueeze(1)
        return magnitude

    def sweep(self) -> None:
        for first, second in self.pairs:
            rows, columns = self._weight(first).amax(2), self._weight(second).amax(1)
            usable = (rows > 0) & (columns > 0)  # a dead unit stays as it is
            s = torch.where(usable, (rows / torch.where(usable, columns, 1)).sqrt(), torch.ones_like(rows))
            self.between[first, second] = self.between[first, second] * s

    def factors(self) -> dict[str, Scales]:
        found: dict[str, Scales] = {}
        for (first, second), s in self.between.items():
            found.setdefault(first, {})["rows"] = 1 / s
            found.setdefault(second, {})["columns"] = s
            bias = bias_of(first, self.checkpoints)
            if bias is not None:
                found[bias] = {"rows": 1 / s}
        return found


def _along(factor: Tensor, tensor: Tensor, axis: int) -> Tensor:
    """Shape (b, m) so that it multiplies one axis of (b, *shape)."""
    return factor.reshape(len(factor), *(factor.shape[1] if i == axis else 1 for i in range(1, tensor.ndim)))
