"""What one record's loss is: a named loss or the user's own, checked to give one value per record."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from leaq.errors import InvalidInput, unknown_name
from leaq.losses import per_record
from leaq.types import Task

__all__ = ["LOSSES", "Loss", "choose_loss", "checked"]

LossFunction = Callable[[Tensor, Tensor], Tensor]
"""(outputs (n, ...), targets (n, ...)) -> (n,)"""
LOSSES = ("auto", "cross_entropy", "binary", "squared_error")


@dataclass(frozen=True)
class Loss:
    """A per-record loss with its name and what the outputs mean.

    Attributes
    ----------
    kind : "classes" (outputs are logits (n, k)), "binary" (one logit), "values" (one prediction), or "own".
    """

    name: str
    function: LossFunction
    kind: Literal["classes", "binary", "values", "own"]

    @property
    def task(self) -> Task:
        """Whether outputs are read as class scores or as values."""
        return "classification" if self.kind in ("classes", "binary") else "regression"


def choose_loss(loss: str | LossFunction, outputs: Tensor, targets: Tensor, *, scale: float = 1.0) -> Loss:
    """Return the named loss, the one that fits the targets ("auto"), or the user's own.

    Parameters
    ----------
    outputs, targets : of a few records; decide what "auto" means.
    scale : unit of regression errors: the spread of all targets.
    """
    if not isinstance(loss, str):
        reduction = getattr(loss, "reduction", "none")
        if reduction != "none":
            raise InvalidInput(
                f"loss: an audit compares records, so the loss must give one value per record. "
                f"{type(loss).__name__} returns their {reduction}. Build it with reduction='none'."
            )
        return Loss(getattr(loss, "__name__", type(loss).__name__), loss, "own")
    if loss not in LOSSES:
        raise unknown_name("loss", loss, LOSSES)
    if loss == "auto":
        loss = _fitting(outputs, targets)
    if loss == "squared_error":
        return Loss(loss, lambda out, y: _squared(out, y) / scale**2, "values")
    if loss == "binary":
        return Loss(loss, lambda out, y: per_record(two_logits(out), y.reshape(-1), "classification"), "binary")
    if outputs.ndim != 2:
        raise InvalidInput(
            f"loss: cross-entropy needs outputs (records, classes). Found shape {tuple(outputs.shape)}. "
            "Give a function of (outputs, targets) that returns one value per record."
        )
    return Loss(loss, lambda out, y: per_record(out, y, "classification"), "classes")


def _fitting(outputs: Tensor, targets: Tensor) -> str:
    single = outputs.ndim == 1 or (outputs.ndim == 2 and outputs.shape[1] == 1)
    if targets.is_floating_point():
        whole = bool(((targets == 0) | (targets == 1)).all())
        return "binary" if single and whole else "squared_error"
    return "binary" if single else "cross_entropy"


def _squared(outputs: Tensor, targets: Tensor) -> Tensor:
    n = len(targets)
    return ((outputs.double().reshape(n, -1) - targets.double().reshape(n, -1)) ** 2).mean(1)


def two_logits(outputs: Tensor) -> Tensor:
    """Return the logits (n, 2) of a model with one output: 0 and the output."""
    z = outputs.reshape(len(outputs), -1)
    return torch.cat([torch.zeros_like(z), z], dim=1)


def checked(values: Any, n: int, name: str) -> Tensor:
    """Return the losses as float64 (n,), or say why they are none.

    Raises
    ------
    InvalidInput
        If the loss returned a mean, another shape, or NaN.
    """
    if not isinstance(values, Tensor) or values.numel() == 1 != n:
        raise InvalidInput(
            f"loss: an audit compares records, so {name} must return one value per record, shape ({n},). "
            "Found a single number, which looks like a mean over the batch. Use reduction='none'."
        )
    if values.numel() != n:
        raise InvalidInput(
            f"loss: {name} must return one value per record, shape ({n},). Found shape {tuple(values.shape)}. "
            "Average over everything but the records."
        )
    return values.detach().double().reshape(n)


def refuse_batch_dependence(together: Tensor, alone: Tensor, name: str) -> None:
    """Refuse a loss (or model) whose value for a record changes with the other records of the batch."""
    if not torch.allclose(together, alone, rtol=1e-3, atol=1e-5):
        raise InvalidInput(
            f"loss: a record's loss must not depend on the others in its batch. Under {name} the first record has "
            f"{float(together[0]):.4g} among others and {float(alone[0]):.4g} by itself. "
            "Return values that are not averaged or normalised over the batch."
        )
