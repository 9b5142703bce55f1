"""Distillation as a release: a student that never saw a member learns the model's outputs on calibration records."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from leaq.errors import UnsupportedModel
from leaq.lazy import Tensor, torch
from leaq.quantizers.applying import Scales, State, refuse_infinite, stacked
from leaq.quantizers.calibration import layered, needed
from leaq.quantizers.disturbed import Single
from leaq.quantizers.refitting import imitate
from leaq.quantizers.scheme import Needs, Scheme
from leaq.seeds import torch_stream
from leaq.types import Checkpoints

if TYPE_CHECKING:
    from leaq.quantizers.calibration import Calibration

VALUE = "value"


class Distilled(Single):
    """A student of the same architecture, from fresh initial weights, that imitates the model on calibration records.

    No weight of the model is handed on, only its outputs; what the student is calibrated on must therefore be records
    that train no model (``calibrated=elsewhere``) to protect anybody. All candidates of one model are the same student.

    Raises
    ------
    UnsupportedModel
        If the model has parameters other than weights, biases and scalers: a normalisation's would be handed on.
    """

    name: ClassVar[str] = "distilled"
    source: ClassVar[str] = (
        "Shejwalkar and Houmansadr (arXiv 1906.06589v3), with the calibration records as reference data"
    )
    examples: ClassVar[tuple[str, ...]] = ("distilled",)
    wants: ClassVar[Needs] = Needs(calibration=True)
    stored: ClassVar[frozenset[str]] = frozenset()
    records: ClassVar[int] = 4096
    steps: int = Field(default=300, ge=1)
    learning_rate: float = Field(default=4e-3, gt=0)
    seed: int = Field(default=0, ge=0)
    """Root seed of the student's initial weights."""
    idempotent: ClassVar[bool] = False
    """A student's student is another one."""

    def plan(self, checkpoints: Checkpoints) -> dict[str, Scheme]:
        """Exchange every weight and every bias."""
        weights = super().plan(checkpoints)
        biases = {name for name, role in checkpoints.roles.items() if role == "bias"}
        return {name: self for name in checkpoints.roles if name in weights or name in biases}

    def fit_model(self, checkpoints: Checkpoints, calibration: Calibration | None) -> State:
        """Return the student's weights and biases."""
        calibration = needed(self, calibration)
        odd = [name for name, role in checkpoints.roles.items() if role in ("norm", "other")]
        if odd or self.first == "full" or self.last == "full":
            raise UnsupportedModel(
                f"{self.spec()}: a student may take over nothing that was trained. Found {odd[0] if odd else 'a layer'}"
                " left as it is. Use a refit instead."
            )
        learnt = tuple(self.plan(checkpoints))
        for name in learnt:
            refuse_infinite(name, stacked(checkpoints, name))
        model = layered(self, calibration)
        exact = {name: stacked(checkpoints, name) for name in checkpoints.params}
        count = len(next(iter(exact.values())))
        owner = np.arange(count) // (count // len(calibration.members))
        given = calibration.of(owner, next(iter(exact.values())))
        free = {name: self._drawn(name, exact[name], calibration.first + owner) for name in learnt}
        imitate(
            model.outputs,
            exact,
            lambda: {**exact, **free},
            list(free.values()),
            given=given,
            pace=(self.steps, self.learning_rate),
        )
        return {name: {VALUE: tensor.detach().float()} for name, tensor in free.items()}

    def _drawn(self, name: str, weight: Tensor, models: np.ndarray) -> Tensor:
        """Draw initial weights uniformly within 1/sqrt(inputs), as torch's linear layers do; biases start at 0."""
        if weight.ndim == 2:
            return torch.zeros_like(weight)
        bound = weight[0, 0].numel() ** -0.5
        drawn = [
            torch.rand(
                weight.shape[1:], generator=torch_stream(self.seed, "distilled", name, int(i)), dtype=torch.float64
            )
            for i in models
        ]
        return torch.stack(drawn).mul_(2 * bound).sub_(bound).to(weight)

    def _left(self, weight: Tensor, scales: Scales) -> Tensor:
        return scales[VALUE].expand_as(weight)

    def title(self) -> str:
        return "distilled"

    def explain(self) -> str:
        return (
            "A student of the same architecture, started afresh, learns the model's outputs on the calibration records."
        )
