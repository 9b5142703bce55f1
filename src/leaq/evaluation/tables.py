"""Checkpoints x Samples -> LossTable: all models and candidates in batched forward passes, streamed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from leaq.errors import InvalidInput, LeaqError, UnsupportedModel, reason_of
from leaq.evaluation.batches import Batch, shapes_of
from leaq.models.calling import as_given
from leaq.models.numbers import read_codes, released_numbers
from leaq.models.protocols import Model
from leaq.models.tables import Judge
from leaq.types import Bools, Checkpoints, Floats, LossTable, Progress, Samples, silent
from leaq.types.later import is_later

ACTIVATIONS = 2**21
"""Numbers a forward pass may hold in its widest layer before records or models are split.

On a CPU, a block of 32 MiB or more comes as fresh pages from the system every time, which costs more than the
arithmetic done in it.
"""
LARGER_ON_GPU = 16
"""How many times that a GPU holds: it wants large blocks."""
RANGE = "range of the inputs of "
"""In front of a weight's name: among stacked weights, the range that its inputs are rounded by."""
RECORDS = 8192
"""Records that go through a model at once."""
Run = Callable[[Mapping[str, Tensor], Any], Tensor]
"""Stacked weights (m, ...) and the inputs of n records -> outputs (m, n, ...)."""


@dataclass(frozen=True)
class Evaluator:
    """Runs candidates over records: the one loop that every loss comes from, whoever's model and records they are.

    Attributes
    ----------
    run : stacked weights (m, ...) and the inputs of n records -> outputs (m, n, ...).
    judge : outputs (m, n, ...) and targets (n, ...) -> losses (m, n).
    together : candidates of one call of `run`.
    keep : what is kept of a batch's released outputs (s, n, ...), None for nothing.
    """

    run: Run
    judge: Callable[[Tensor, Tensor], Tensor]
    together: int = 1
    keep: Callable[[Tensor], Tensor | None] = as_given

    def __call__(
        self,
        stacked: Mapping[str, Tensor],
        batches: Sequence[Batch],
        *,
        batch: tuple[int, int],
        quantizer: str = "none",
        progress: Progress = silent,
    ) -> tuple[Floats, list[Tensor | None]]:
        """Return losses (s, c, n) in float64, and what is kept of each batch.

        Parameters
        ----------
        stacked : weights (s c, ...) of c candidates of each of s models, a model's own side by side, the released last.
        batch : s and c.

        Raises
        ------
        InvalidInput
            If an output is NaN or infinite, or the model fails on a batch; the message names the model, or the batch.
        """
        (s, c), n = batch, sum(one.n for one in batches)
        losses = np.empty((s * c, n))
        released: list[list[Tensor | None]] = [[] for _ in batches]
        for start in range(0, s * c, self.together):
            part = {name: tensor[start : start + self.together] for name, tensor in stacked.items()}
            size, at = min(self.together, s * c - start), 0
            final = [i for i in range(size) if (start + i) % c == c - 1]
            for number, one in enumerate(batches):
                outputs = _outputs(self.run, part, one)
                _refuse_nan(outputs, start, c, quantizer)
                losses[start : start + size, at : at + one.n] = self.judge(outputs, one.targets).cpu().numpy()
                kept = self.keep(outputs[final]) if final else None
                released[number] += [None if kept is None else kept.cpu()] * bool(final)
                at += one.n
                progress("evaluating", start * len(batches) + (number + 1) * size, s * c * len(batches))
        return losses.reshape(s, c, n), [_joined(parts) for parts in released]


def candidates(model: Model, checkpoints: Checkpoints) -> tuple[Run, dict[str, Tensor], tuple[int, int]]:
    """Return how candidates of batch (s, c) or (s,) run, their weights side by side, (s c, ...), and s and c."""
    both = checkpoints if len(checkpoints.batch) == 2 else checkpoints.at((slice(None), None))
    s, c = both.batch
    stacked = {name: tensor.flatten(0, 1) for name, tensor in both.params.items()}
    if (how := both.activations) is None:
        return model.forward, stacked, (s, c)
    beside = {name: RANGE + name for name in how.ranges}

    def run(part: Mapping[str, Tensor], inputs: Any) -> Tensor:
        weights = {name: tensor for name, tensor in part.items() if not name.startswith(RANGE)}
        ranges = {name: part[key] for name, key in beside.items()}
        return model.forward(weights, inputs, activations=how.with_ranges(ranges))

    return run, stacked | {beside[name]: tensor.flatten(0, 1) for name, tensor in how.ranges.items()}, (s, c)


def origin(samples: Samples, *, quantizer: str, size: int) -> dict[str, Any]:
    """Return where losses of `size` candidates a model come from, as fields of `LossTable`."""
    return {
        "game": "pool" if samples.released_on is None else "released",
        "quantizer": quantizer,
        "strategy": "trajectory" if size > 1 else "released",
    }


def _joined(parts: Sequence[Tensor | None]) -> Tensor | None:
    held = [part for part in parts if part is not None]
    return torch.cat(held) if held and len(held) == len(parts) else None


def _outputs(run: Run, part: Mapping[str, Tensor], batch: Batch) -> Tensor:
    """Run some candidates on one batch; what a user's model fails on is named by its batch."""
    try:
        with torch.no_grad():
            return run(part, batch.inputs)
    except LeaqError:
        raise
    except Exception as err:  # whatever a user's code raises for records unlike the first
        if not batch.name:
            raise
        raise InvalidInput(
            f"The model must run on all records. On {batch.name} ({shapes_of(batch.inputs)}) it raised "
            f"{reason_of(err)}."
        ) from err


def _refuse_nan(outputs: Tensor, start: int, c: int, quantizer: str) -> None:
    bad = ~torch.isfinite(outputs).flatten(1).all(1)
    if bad.any():
        index = start + int(bad.nonzero()[0])
        raise InvalidInput(
            f"Outputs must be finite. Model {index // c}, candidate {index % c} under {quantizer} gives NaN or "
            "infinite outputs. Lower the learning rate, or leave out this quantizer or checkpoint."
        )


def evaluate_checkpoints(
    model: Model,
    checkpoints: Checkpoints,
    samples: Samples,
    members: Bools,
    *,
    quantizer: str = "none",
) -> LossTable:
    """Return every candidate's loss on every record, and the released candidates' scores and outputs.

    Parameters
    ----------
    model : how weights become outputs.
    checkpoints : batch (s, c), or (s,) for released models only; already quantized.
    samples : embedded records, members and non-members alike.
    members : (s, n), True where the record trained the model.

    Raises
    ------
    InvalidInput
        If an output is NaN or infinite; the message names the model.
    """
    run, stacked, (s, c) = candidates(model, checkpoints)
    n = len(samples)
    if members.shape != (s, n):
        raise InvalidInput(f"evaluate: members must have shape ({s}, {n}). Found {members.shape}.")
    x, judge = _inputs(samples, checkpoints), Judge(samples)
    parts = zip(torch.split(x, RECORDS), torch.split(judge.targets(x), RECORDS), strict=True)
    prepared: Callable[[Tensor], Any] = getattr(model, "prepared", as_given)  # as the model is fastest on them
    batches = [Batch(prepared(part), label, len(label)) for part, label in parts]
    width = getattr(model, "widest", 0) or max((t.shape[1] for t in stacked.values() if t.ndim >= 3), default=1)
    evaluator = Evaluator(run, judge.losses, max(1, _budget(x) // (width * min(n, RECORDS))))
    losses, released = evaluator(stacked, batches, batch=(s, c), quantizer=quantizer)
    return judge.table(
        torch.cat([part for part in released if part is not None], dim=1),
        members,
        losses=losses,
        **origin(samples, quantizer=quantizer, size=c),
    )


def with_whitebox(table: LossTable, model: Model, checkpoints: Checkpoints, samples: Samples) -> LossTable:
    """Add what needs the released weights: each record's loss gradient by them, against that of all the others.

    Parameters
    ----------
    table : what `evaluate_checkpoints` returned for the same arguments.
    checkpoints : batch (s, c) or (s,), quantized.

    Raises
    ------
    UnsupportedModel
        If the model cannot compute it (it has no ``gradient_signals``).
    """
    if not hasattr(model, "gradient_signals"):
        raise UnsupportedModel(
            f"with_whitebox needs a model with gradient_signals(). Found {type(model).__name__}. "
            "Leave out the whitebox attack."
        )
    released = checkpoints if len(checkpoints.batch) == 1 else checkpoints.last()
    x = _inputs(samples, released)
    y = torch.tensor(samples.targets, device=x.device)
    rows = min(len(x), RECORDS)
    each = x[0].numel()
    models = max(1, _budget(x) // max(1, rows * each))
    found = []
    for start in range(0, released.batch[0], models):
        part = {name: tensor[start : start + models] for name, tensor in released.params.items()}
        with torch.no_grad():
            found.append(model.gradient_signals(part, x, y, rows=rows).double().cpu().numpy())
    return replace(table, whitebox=np.concatenate(found))


def with_numbers(table: LossTable, checkpoints: Checkpoints, samples: Samples, *, codes: bool = False) -> LossTable:
    """Add what the released file holds beside codes, by kind: what the file attack reads.

    ``scaler.mean``, ``scaler.scale`` (s, d)
        What the features are standardised by, or the running statistics of a batch normalisation of them.
    ``target.mean``, ``target.scale`` (s, 1)
        What a regression target is standardised by.
    ``columns.mean``, ``columns.power`` (s, d)
        Mean and mean square, by feature, of the first layer's quantized weights: zeros of a sparse quantizer included.
    ``bias``, ``norm``, ``scales`` (s, m)
        Biases, norm weights, and the largest and mean magnitude of each quantized tensor; each tensor's sorted, since
        hidden units have no order. Among scales are static ranges of activations.

    Parameters
    ----------
    table : what `evaluate_checkpoints` returned for the same arguments.
    checkpoints : batch (s, c) or (s,), quantized.
    codes : also what the first layer's codes make of each record (`leaq.models.numbers.read_codes`).
    """
    released = checkpoints if len(checkpoints.batch) == 1 else checkpoints.last()
    numbers = released_numbers(released, 0 if samples.text else samples.inputs[0].size)
    if codes and not samples.text:
        numbers |= read_codes(released, samples.inputs.reshape(len(samples), -1))
    return replace(table, numbers=numbers)


def _inputs(samples: Samples, checkpoints: Checkpoints) -> Tensor:
    """Return inputs where the weights are, in their precision."""
    like = next(iter(checkpoints.params.values()))
    return torch.tensor(samples.inputs, dtype=like.dtype, device=like.device)


def at_once(module: nn.Module) -> int:
    """Return the numbers that a forward pass of a module may hold in its widest layer.

    Few beside few weights, on a CPU. More of a module whose weights are worked out for every batch: so that few batches
    are needed.
    """
    parameters = list(module.parameters())
    if later := sum(tensor.numel() for tensor in parameters if is_later(tensor)):
        return max(ACTIVATIONS, min(later // 32, LARGER_ON_GPU * ACTIVATIONS))
    if any(tensor.device.type != "cpu" for tensor in parameters):
        return ACTIVATIONS
    return max(ACTIVATIONS // 4, min(sum(tensor.numel() for tensor in parameters) // 32, ACTIVATIONS))


def _budget(x: Tensor) -> int:
    return ACTIVATIONS if x.device.type == "cpu" else LARGER_ON_GPU * ACTIVATIONS
