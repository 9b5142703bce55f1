"""What one record's loss is: a named loss or the user's own, checked to give one value per record."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from leaq.errors import InvalidInput, LeaqError, reason_of, unknown_name
from leaq.evaluation.labels import Kind, read_labels
from leaq.evaluation.outputs import read_mixed, read_outputs
from leaq.models.calling import as_given
from leaq.models.losses import per_record
from leaq.models.several import mean_entry_losses
from leaq.types import Flag, Task
from leaq.types.tasks import MULTITASK, Layout

LossFunction = Callable[[Tensor, Tensor], Tensor]
"""(outputs (n, ...), targets (n, ...)) -> (n,)"""
LOSSES = ("auto", "cross_entropy", "binary", "squared_error", "gaussian", "gaussian_log")
LEAST_VARIANCE = 1e-6
"""In units of a target's own variance; smaller ones count as this, as in torch's GaussianNLLLoss."""


@dataclass(frozen=True)
class Loss:
    """A per-record loss with its name, and what outputs and targets mean under it.

    Attributes
    ----------
    function : outputs as the model gives them and targets in the form of `targets` -> one loss a record.
    kind : "classes" (codes), "soft" (probabilities of classes), "binary" (one 0/1 target), "tasks" (several), "values",
        "mixed" (several of both), "gaussian" (means with variances), or "own".
    targets : targets as given -> the form `function` takes.
    predictions : outputs as given -> what metrics and attack signals read: logits, or predicted values.
    scale : spread of each target, the unit of its errors.
    flags : what was recognised and chosen, where it is not plain.
    layout : of several targets with tasks of their own, which outputs are whose; `predictions` are then (n, k).
    """

    name: str
    function: LossFunction
    kind: Kind
    targets: Callable[[Tensor], Tensor] = as_given
    predictions: Callable[[Tensor], Tensor] = as_given
    scale: tuple[float, ...] = (1.0,)
    flags: tuple[Flag, ...] = ()
    layout: Layout | None = None

    @property
    def task(self) -> Task:
        """Whether outputs are read as class scores, as values, or as those of several tasks."""
        if self.layout is not None:
            return MULTITASK
        return "classification" if self.kind in ("classes", "soft", "binary", "tasks") else "regression"

    def labels(self, targets: Tensor) -> Tensor | None:
        """Return one number a record for metrics and signals, of targets in this loss's form; None if there is none."""
        if self.kind == "classes":
            return targets
        if self.kind == "soft":
            return targets.argmax(1)
        if self.kind == "binary":
            return (targets[:, 0] > 0.5).long()
        if self.kind in ("values", "gaussian") and targets.shape[1] == 1:
            return targets[:, 0]
        return None


def choose_loss(
    loss: str | LossFunction, outputs: Tensor, targets: Tensor, *, last: str = "", names: Sequence[str] = ()
) -> Loss:
    """Return the named loss, the one that fits the targets ("auto"), or the user's own.

    Parameters
    ----------
    outputs : (m, ...) of some records; they decide whether they are logits, probabilities or values.
    targets : (n, ...) of all records; decide what "auto" means, and the unit of regression errors.
    last : what the model did last, see `last_operation`.
    names : of several targets.
    """
    if not isinstance(loss, str) and not callable(loss):
        raise InvalidInput(
            f"loss: must be one of {', '.join(LOSSES)}, or a function of (outputs, targets). Found a "
            f"{type(loss).__name__}."
        )
    if not isinstance(loss, str):
        reduction = getattr(loss, "reduction", "none")
        if reduction != "none":
            raise InvalidInput(
                f"loss: an audit compares records, so the loss must give one value per record. "
                f"{type(loss).__name__} returns their {reduction}. Build it with reduction='none'."
            )
        name = getattr(loss, "__name__", type(loss).__name__)
        return Loss(name, _guarded(loss, name), "own", scale=_spread(targets.reshape(-1, 1)))
    if loss not in LOSSES:
        raise unknown_name("loss", loss, LOSSES)
    labels = read_labels(loss, outputs, targets, names)
    layout = Layout.of(labels.tasks)
    mixed = labels.kind == "mixed" and layout is not None
    logits, flags = read_mixed(layout, outputs, last) if mixed else read_outputs(labels.kind, outputs, last)  # type: ignore[arg-type]
    scale = _spread(targets) if labels.kind in ("values", "mixed", "gaussian") else (1.0,)
    if layout is not None:
        scale = tuple(scale[at] if at in layout.values else 1.0 for at in range(len(layout.tasks)))
    named = {"classes": "cross_entropy", "soft": "cross_entropy", "values": "squared_error"}
    name = "binary" if labels.kind in ("binary", "tasks") else named.get(labels.kind, loss)
    if loss == "gaussian":
        _refuse_negative(_moments(outputs, len(scale))[1])
    if layout is not None:
        function, predictions = _of_several(layout, logits, scale)
    else:
        function, predictions = _named(labels.kind, logits, scale, log_variance=loss == "gaussian_log")
    if labels.kind == "classes":
        flags = (*_unseen(outputs[0].numel(), labels.recode(targets)), *flags)
    return Loss(name, function, labels.kind, labels.recode, predictions, scale, (*labels.flags, *flags), layout)


def _unseen(outputs: int, labels: Tensor) -> tuple[Flag, ...]:
    """Say where most outputs are of classes that no record has: they may be no logits of classes."""
    seen = len(set(labels.tolist()))
    if 2 * seen >= outputs:
        return ()
    text = f"{outputs - seen} of {outputs} outputs are of classes without a record. If the model returns something else"
    return (Flag("classes-unseen", f"{text} before its logits, return the logits alone."),)


def _of_several(
    layout: Layout, reads: Callable[[Tensor], Tensor], scale: tuple[float, ...]
) -> tuple[LossFunction, Callable[[Tensor], Tensor]]:
    """Return the mean loss over the labels a record has, values in units of `scale`, and what reads outputs (n, k)."""
    unit = torch.tensor(scale, dtype=torch.float64)

    def predictions(outputs: Tensor) -> Tensor:
        return reads(outputs).double().reshape(len(outputs), layout.outputs)

    def function(outputs: Tensor, targets: Tensor) -> Tensor:
        return mean_entry_losses(predictions(outputs), targets, layout, unit)

    return function, predictions


def _guarded(loss: LossFunction, name: str) -> LossFunction:
    """Return a user's loss whose errors say whose they are."""

    def run(outputs: Tensor, targets: Tensor) -> Tensor:
        try:
            return loss(outputs, targets)
        except LeaqError:
            raise
        except Exception as err:  # whatever the user's code raises
            raise InvalidInput(
                f"loss: {name} must take (outputs, targets). On outputs {tuple(outputs.shape)} and targets "
                f"{tuple(targets.shape)} it raised {reason_of(err)}."
            ) from err

    return run


def _named(
    kind: Kind, logits: Callable[[Tensor], Tensor], scale: tuple[float, ...], *, log_variance: bool
) -> tuple[LossFunction, Callable[[Tensor], Tensor]]:
    """Return a loss of outputs as given, and what metrics read of them."""
    unit = torch.tensor(scale, dtype=torch.float64)

    def rows(outputs: Tensor) -> Tensor:
        """Return one row a record, without the axes of length 1 that may stand beside that of the classes."""
        return logits(outputs).flatten(1)

    if kind == "classes":
        return lambda out, y: per_record(rows(out), y, "classification"), rows
    if kind == "soft":
        return lambda out, y: -(y * torch.log_softmax(rows(out).double(), -1)).sum(-1), rows
    if kind == "binary":
        return lambda out, y: _tasks(logits(out), y), lambda out: two_logits(logits(out))
    if kind == "tasks":
        return lambda out, y: _tasks(logits(out), y), logits
    if kind == "gaussian":

        def likelihood(out: Tensor, y: Tensor) -> Tensor:
            mean, variance = _moments(out, y.shape[1])
            return _gaussian(mean, variance, y, unit=unit, log_variance=log_variance)

        return likelihood, lambda out: _moments(out, len(scale))[0]
    return lambda out, y: _known_mean(((out.double().reshape(y.shape) - y) / unit.to(y.device)) ** 2), as_given


def _spread(targets: Tensor) -> tuple[float, ...]:
    """Return the standard deviation of each target over the records that have it, 1 where it does not vary."""
    wide = targets.double().reshape(len(targets), -1)
    mean = wide.nanmean(0)
    spread = ((wide - mean) ** 2).nanmean(0).sqrt()
    return tuple(float(value) if 0 < float(value) < float("inf") else 1.0 for value in spread)


def _known_mean(losses: Tensor) -> Tensor:
    """Average (n, t) over the targets each record has."""
    known = ~losses.isnan()
    mean: Tensor = losses.masked_fill(~known, 0.0).sum(1) / known.sum(1)
    return mean


def _tasks(logits: Tensor, targets: Tensor) -> Tensor:
    z = logits.double().reshape(targets.shape)
    return _known_mean(torch.clamp(z, min=0) - z * targets + torch.log1p(torch.exp(-z.abs())))


def _moments(outputs: Tensor, t: int) -> tuple[Tensor, Tensor]:
    """Return means and variances (n, t), which stand side by side or along a last axis of two."""
    if outputs.ndim > 2 and outputs.shape[-1] == 2:
        pairs = outputs.double().reshape(len(outputs), t, 2)
        return pairs[..., 0], pairs[..., 1]
    flat = outputs.double().reshape(len(outputs), 2 * t)
    return flat[:, :t], flat[:, t:]


def _refuse_negative(variance: Tensor) -> None:
    if float(variance.min()) < 0:
        raise InvalidInput(
            "loss: a Gaussian likelihood needs variances of at least 0. Found "
            f"{float(variance.min()):.3g}. If the model gives their logarithm, say loss='gaussian_log'."
        )


def _gaussian(mean: Tensor, variance: Tensor, targets: Tensor, *, unit: Tensor, log_variance: bool) -> Tensor:
    """Negative log-likelihood of targets in units of their spread, averaged over those a record has."""
    there = unit.to(targets.device)
    variance = variance.exp() if log_variance else variance
    relative = (variance / there**2).clamp_min(LEAST_VARIANCE)  # rounded weights may push one below 0
    error = (targets - mean) / there
    return _known_mean(0.5 * (relative.log() + error**2 / relative + float(torch.log(torch.tensor(2 * torch.pi)))))


def two_logits(outputs: Tensor) -> Tensor:
    """Return the logits (n, 2) of a model with one output: 0 and the output."""
    z = outputs.reshape(len(outputs), -1)
    return torch.cat([torch.zeros_like(z), z], dim=1)


def checked(values: Any, n: int, name: str) -> Tensor:
    """Return the losses as float64 (n,), or say why they are none.

    Raises
    ------
    InvalidInput
        If the loss returned a mean, another shape, or a number that is not finite.
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
    losses = values.detach().double().reshape(n)
    if not torch.isfinite(losses).all():
        at = int((~torch.isfinite(losses)).nonzero()[0])
        raise InvalidInput(
            f"loss: every record's loss must be finite. {name} gives {float(losses[at])} for record {at} of a batch "
            "(counted from 0), whose outputs are finite. Look for a logarithm of 0 or a division by 0 in it."
        )
    return losses


def refuse_batch_dependence(together: Tensor, alone: Tensor, name: str) -> None:
    """Refuse a loss (or model) whose value for a record changes with the other records of the batch."""
    if not torch.allclose(together, alone, rtol=1e-3, atol=1e-5):
        raise InvalidInput(
            f"loss: a record's loss must not depend on the others in its batch. Under {name} the first record has "
            f"{float(together[0]):.4g} among others and {float(alone[0]):.4g} by itself. "
            "Return values that are not averaged or normalised over the batch."
        )
