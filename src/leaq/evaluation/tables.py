"""Checkpoints x Samples -> LossTable: all models and candidates in batched forward passes, streamed."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from leaq.errors import InvalidInput, UnsupportedModel
from leaq.models.numbers import released_numbers
from leaq.models.protocols import Model
from leaq.models.tables import Judge
from leaq.types import Bools, Checkpoints, LossTable, Progress, Samples, silent

__all__ = ["evaluate", "with_numbers", "with_whitebox"]

ACTIVATIONS = 2**21
"""Numbers a forward pass may hold in its widest layer before records or models are split.

On a CPU, a block of 32 MiB or more comes as fresh pages from the system every time, which costs more than the
arithmetic done in it.
"""
LARGER_ON_GPU = 16
"""How many times that a GPU holds: it wants large blocks."""


def evaluate(
    model: Model,
    checkpoints: Checkpoints,
    samples: Samples,
    members: Bools,
    *,
    quantizer: str = "none",
    progress: Progress = silent,
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
    if len(checkpoints.batch) == 1:
        checkpoints = checkpoints.at((slice(None), None))
    s, c = checkpoints.batch
    n = len(samples)
    if members.shape != (s, n):
        raise InvalidInput(f"evaluate: members must have shape ({s}, {n}). Found {members.shape}.")
    x, judge = _inputs(samples, checkpoints), Judge(samples)
    flat = {name: tensor.flatten(0, 1) for name, tensor in checkpoints.params.items()}
    losses = np.empty((s * c, n))
    released: list[Tensor] = []
    group = _models_at_once(model, flat, n, _budget(x))
    for start in range(0, s * c, group):
        part = {name: tensor[start : start + group] for name, tensor in flat.items()}
        outputs = _outputs(model, part, x, checkpoints.activation_bits)
        _refuse_nan(outputs, start, c, quantizer)
        losses[start : start + group] = judge.losses(outputs).cpu().numpy()
        final = [i for i in range(len(outputs)) if (start + i) % c == c - 1]
        released.append(outputs[final])
        progress("evaluating", min(start + group, s * c), s * c)
    return judge.table(
        torch.cat(released),
        members,
        losses=losses.reshape(s, c, n),
        game="pool" if samples.released_on is None else "released",
        quantizer=quantizer,
        strategy="trajectory" if c > 1 else "released",
    )


def with_whitebox(table: LossTable, model: Model, checkpoints: Checkpoints, samples: Samples) -> LossTable:
    """Add what needs the released weights: each record's loss gradient by them, against that of all the others.

    Parameters
    ----------
    table : what `evaluate` returned for the same arguments.
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
    rows = min(len(x), 8192)
    models = max(1, _budget(x) // max(1, rows * x[0].numel()))
    found = []
    for start in range(0, released.batch[0], models):
        part = {name: tensor[start : start + models] for name, tensor in released.params.items()}
        with torch.no_grad():
            found.append(model.gradient_signals(part, x, y, rows=rows).double().cpu().numpy())
    return replace(table, whitebox=np.concatenate(found))


def with_numbers(table: LossTable, checkpoints: Checkpoints, samples: Samples) -> LossTable:
    """Add what the released file holds beside codes, by kind: what the file attack reads.

    ``scaler.mean``, ``scaler.scale`` (s, d)
        What the features are standardised by, or the running statistics of a batch normalisation of them.
    ``target.mean``, ``target.scale`` (s, 1)
        What a regression target is standardised by.
    ``columns.mean``, ``columns.power`` (s, d)
        Mean and mean square, by feature, of the first layer's quantized weights: zeros of a sparse quantizer included.
    ``bias``, ``norm``, ``scales`` (s, m)
        Biases, norm weights, and the largest and mean magnitude of each quantized tensor; each tensor's sorted, since
        hidden units have no order.

    Parameters
    ----------
    table : what `evaluate` returned for the same arguments.
    checkpoints : batch (s, c) or (s,), quantized.
    """
    released = checkpoints if len(checkpoints.batch) == 1 else checkpoints.last()
    return replace(table, numbers=released_numbers(released, samples.inputs[0].size))


def _inputs(samples: Samples, checkpoints: Checkpoints) -> Tensor:
    """Return inputs where the weights are, in their precision."""
    like = next(iter(checkpoints.params.values()))
    return torch.tensor(samples.inputs, dtype=like.dtype, device=like.device)


def _budget(x: Tensor) -> int:
    return ACTIVATIONS if x.device.type == "cpu" else LARGER_ON_GPU * ACTIVATIONS


def _models_at_once(model: Model, flat: dict[str, Tensor], n: int, budget: int) -> int:
    """Return how many models' activations on `n` records (or on one slice of them) fit the budget."""
    width = getattr(model, "widest", 0) or max((t.shape[1] for t in flat.values() if t.ndim >= 3), default=1)
    return max(1, budget // (width * min(n, 8192)))


def _outputs(model: Model, params: dict[str, Tensor], x: Tensor, bits: int | None) -> Tensor:
    """Forward pass of m models over all records, (m, n, k), a slice of records at a time."""
    with torch.no_grad():
        parts = [model.forward(params, part, activation_bits=bits) for part in torch.split(x, 8192)]
    return torch.cat(parts, dim=1)


def _refuse_nan(outputs: Tensor, start: int, c: int, quantizer: str) -> None:
    bad = ~torch.isfinite(outputs).flatten(1).all(1)
    if bad.any():
        index = start + int(bad.nonzero()[0])
        raise InvalidInput(
            f"evaluate: outputs must be finite. Model {index // c}, candidate {index % c} under {quantizer} gives NaN "
            "or infinite outputs. Lower the learning rate or leave this quantizer out."
        )
