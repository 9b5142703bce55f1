"""S replicates trained as one tensor program.

Every weight carries a model axis; one optimiser steps them all. A model's initial weights and batches come from
streams named by its index, so that a model is the same whichever others are trained beside it. The slow twin, one
model at a time with torch.nn and torch.optim, stands in tests/reference/test_stacked_training.py.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.seeds import stream
from leaq.training.config import TrainingConfig
from leaq.training.mlp import MLP
from leaq.training.recorder import Recorder
from leaq.types import Bools, Checkpoints, Ints, Progress, Samples, silent

__all__ = ["chunks", "train"]

MEMORY = 2**30
"""Bytes of recorded checkpoints one chunk may hold when the configuration leaves the chunk to us."""


def train(
    samples: Samples,
    members: Bools,
    config: TrainingConfig,
    *,
    seed: int,
    first: int = 0,
    progress: Progress = silent,
) -> tuple[MLP, Checkpoints]:
    """Train one model per row of `members`, each on its own members, all at once.

    Parameters
    ----------
    samples : embedded records, inputs (n, d).
    members : (s, n), True where the record trains the model.
    seed : root seed.
    first : index of the first model; model ``first + i`` is the same in whatever chunk it is trained.

    Returns
    -------
    The architecture, and its checkpoints with batch (s, c).

    Raises
    ------
    InvalidInput
        If a class is absent from a model's members, or training diverges.
    """
    _check(samples, members)
    mlp = MLP(samples.inputs.shape[1], max(1, len(samples.classes)), config.hidden, samples.task)
    dtype = torch.float64 if config.dtype == "float64" else torch.float32
    models = range(first, first + len(members))
    x = torch.tensor(samples.inputs, dtype=dtype)
    y = torch.tensor(samples.targets, dtype=torch.int64 if samples.task == "classification" else dtype)

    params = mlp.init(seed, models, dtype=dtype)
    params |= fit_scalers(x, y, members, mlp)
    trained = [name for name, role in mlp.roles.items() if role != "scaler"]
    for name in trained:
        params[name].requires_grad_()
    optimizer = _optimizer([params[name] for name in trained], config)

    batches = Batches(members, config, seed=seed, first=first)
    recorder = Recorder(mlp.roles, total=batches.total, keep=config.checkpoints)
    worst = torch.zeros(len(members))
    for step, (rows, weights) in enumerate(batches, start=1):
        optimizer.zero_grad(set_to_none=True)
        losses = _batch_losses(mlp, params, x, y, rows=rows)
        per_model = (losses * weights.to(dtype)).sum(1) / weights.sum(1).to(dtype)
        per_model.sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        recorder.record(step, params)
        worst = torch.maximum(worst, torch.nan_to_num(per_model.detach().float(), nan=torch.inf))
        progress("training", step, batches.total)
    _refuse_divergence(worst, first, config)
    return mlp, recorder.checkpoints()


def chunks(samples: Samples, models: int, config: TrainingConfig) -> list[slice]:
    """Return which models are trained together, so that their checkpoints fit into memory."""
    size = config.chunk or _fitting(samples, config)
    return [slice(start, min(start + size, models)) for start in range(0, models, size)]


def fit_scalers(x: Tensor, y: Tensor, members: Bools, mlp: MLP) -> dict[str, Tensor]:
    """Return each model's input (and target) mean and standard deviation over its own members."""
    mask = torch.as_tensor(members, dtype=torch.float64)
    count = mask.sum(1, keepdim=True)

    def moments(values: Tensor) -> tuple[Tensor, Tensor]:
        # Shifted by the pool mean first: subtracting squares of large means would cancel.
        shift = values.mean(0)
        centred = values - shift
        mean = mask @ centred / count  # (s, d)
        variance = (mask @ centred**2 / count - mean**2).clamp_min(0)
        spread = values.std(0, correction=0)
        scale = variance.sqrt()
        scale = torch.where(scale > 1e-6 * spread, scale, torch.ones_like(scale))  # constant column: leave it
        return (mean + shift).to(x.dtype), scale.to(x.dtype)

    scalers = dict(zip(("input.mean", "input.scale"), moments(x.double()), strict=True))
    if mlp.task == "regression":
        scalers |= dict(zip(("output.mean", "output.scale"), moments(y.double().unsqueeze(1)), strict=True))
    return scalers


class Batches:
    """The records each model sees at each step: every epoch each model walks its own shuffled members.

    Iterating yields ``rows`` (s, b) positions and ``weights`` (s, b), 0 where a model with fewer members has
    nothing left in the epoch's last batches.
    """

    def __init__(self, members: Bools, config: TrainingConfig, *, seed: int, first: int) -> None:
        self._lists = [np.flatnonzero(row) for row in members]
        self._length = max(len(rows) for rows in self._lists)
        self._size = min(config.batch_size, self._length)
        self._epochs = config.epochs
        self._streams = [stream(seed, "batches", first + i) for i in range(len(members))]
        shortest = min(len(rows) for rows in self._lists)
        # A model must have at least one record in the last batch, or its mean loss there is 0/0.
        while shortest <= (last := (self._length - 1) // self._size * self._size):
            self._length = last
        self.total = self._epochs * -(-self._length // self._size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(self._epochs):
            rows = np.zeros((len(self._lists), self._length), dtype=np.int64)
            weights = np.zeros(rows.shape)
            for model, (members, rng) in enumerate(zip(self._lists, self._streams, strict=True)):
                order: Ints = rng.permutation(members)[: self._length]
                rows[model, : len(order)] = order
                weights[model, : len(order)] = 1.0
            for start in range(0, self._length, self._size):
                part = slice(start, start + self._size)
                yield torch.as_tensor(rows[:, part]), torch.as_tensor(weights[:, part])


def _batch_losses(mlp: MLP, params: dict[str, Tensor], x: Tensor, y: Tensor, *, rows: Tensor) -> Tensor:
    """Training losses (s, b): cross-entropy, or squared error on targets standardised by each model's own scaler."""
    outputs = mlp.forward(params, x[rows])  # (s, b, k)
    targets = y[rows]
    if mlp.task == "classification":
        flat = torch.nn.functional.cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="none")
        return flat.view(rows.shape)
    return ((outputs.squeeze(-1) - targets) / params["output.scale"]) ** 2


def _optimizer(params: list[Tensor], config: TrainingConfig) -> torch.optim.Optimizer:
    """Every rule here acts on each weight alone, which is what makes stacking exact."""
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimizer == "adam":
        return torch.optim.Adam(params, lr=rate, weight_decay=decay, fused=True)
    return torch.optim.SGD(params, lr=rate, weight_decay=decay, momentum=config.momentum)


def _fitting(samples: Samples, config: TrainingConfig) -> int:
    """Return how many models' checkpoints fit into `MEMORY` (at least one)."""
    widths = (samples.inputs.shape[1], *config.hidden, max(1, len(samples.classes)))
    weights = sum(a * b + b for a, b in pairwise(widths))
    return int(np.clip(MEMORY // (8 * weights * config.checkpoints), 1, 64))


def _check(samples: Samples, members: Bools) -> None:
    if members.ndim != 2 or members.shape[1] != len(samples):
        raise InvalidInput(
            f"train: members must have shape (models, {len(samples)}), one column a record. Found {members.shape}."
        )
    counts = members.sum(1)
    if (counts < 2).any():
        raise NotEnoughEvidence(f"train: every model needs at least 2 members. Found {int(counts.min())}. Add records.")
    if samples.task == "classification":
        codes = np.arange(len(samples.classes))
        present = members.astype(np.float64) @ (samples.targets[:, None] == codes)  # (s, k)
        if (present == 0).any():
            model, code = np.argwhere(present == 0)[0]
            raise InvalidInput(
                f"train: every class must occur among a model's members. Class {samples.classes[code]!r} is absent "
                f"from model {model}. Merge rare classes or bring more records of them."
            )


def _refuse_divergence(worst: Tensor, first: int, config: TrainingConfig) -> None:
    bad = (~torch.isfinite(worst)).nonzero().flatten()
    if len(bad):
        models = ", ".join(str(first + int(model)) for model in bad[:5])
        raise InvalidInput(
            f"train: the loss became infinite or NaN in {len(bad)} of {len(worst)} models ({models}). "
            f"Lower the learning rate (found {config.learning_rate:g}; try {config.learning_rate / 10:g})."
        )
