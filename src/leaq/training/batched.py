"""S replicates trained as one tensor program.

Every weight carries a model axis; one optimiser steps them all. A model's initial weights and batches come from
streams named by its index, so that a model is the same whichever others are trained beside it. The slow twin, one
model at a time with torch.nn and torch.optim, stands in tests/reference/test_stacked_training.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.models.nets.layout import GRAPHS
from leaq.models.several import entry_weights
from leaq.models.tables import spreads
from leaq.seeds import stream
from leaq.system.environment import cuda_here
from leaq.training.backprop import Backprop
from leaq.training.config import TrainingConfig
from leaq.training.mlp import MLP, shared_by_all
from leaq.training.modules import Make, StackedModule, looks_up
from leaq.training.standardise import Scaled, Scalers, buffer_of, fit_scalers
from leaq.training.steps import Descent, StackRecorder
from leaq.types import Bools, Checkpoints, Floats, Ints, Progress, Samples, silent

COLUMNWISE = ("input.mean", "input.scale", "layers.0.weight")
"""Parameters whose last axis is the input columns."""
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
    if GRAPHS in samples.flags:
        raise InvalidInput(
            "train: the built-in perceptron reads columns of features. Found packed molecular graphs. Train a graph "
            "network on them (model dmpnn, gin or gcn), or choose another embedder than molgraph."
        )
    mlp = MLP.of(samples, config.hidden)
    dtype = torch.float64 if config.dtype == "float64" else torch.float32
    models = range(first, first + len(members))
    x = torch.tensor(samples.inputs, dtype=dtype, device=device_for(config))
    y = _targets(samples, x)

    params = {name: tensor.to(x.device) for name, tensor in mlp.init(seed, models, dtype=dtype).items()}
    scalers = fit_scalers(samples, members, config, seed=seed, first=first)
    params |= {name: torch.from_numpy(values).to(x) for name, values in scalers.items()}
    recorder = _descend(
        mlp, params, (x, y), Batches(members, config, seed=seed, first=first, like=x), config=config, progress=progress
    )
    checkpoints = recorder.checkpoints()
    _refuse_divergence(checkpoints, first, config)
    return mlp, checkpoints


def _descend(
    mlp: MLP,
    params: dict[str, Tensor],
    data: tuple[Tensor, Tensor],
    batches: "Batches",
    *,
    config: TrainingConfig,
    progress: Progress,
) -> StackRecorder:
    """Walk all models down their losses together; return what was recorded on the way."""
    x, y = data
    core = Core(mlp, params, x, config)
    optimizer = Descent([core.backprop.flat], config)
    recorder = StackRecorder(mlp.roles, total=batches.total, keep=config.checkpoints)
    for step, (rows, weights) in enumerate(batches, start=1):
        core.gradient(rows, y, weights)
        optimizer.step(config.rate(step, batches.total))
        if step in recorder:
            recorder.record(step, core.params())
        progress("training", step, batches.total)
    return recorder


def train_modules(  # noqa: PLR0913 - what `train` takes, and what to build
    make: Make,
    samples: Samples,
    members: Bools,
    config: TrainingConfig,
    *,
    seed: int,
    first: int = 0,
    progress: Progress = silent,
) -> tuple[StackedModule, Checkpoints]:
    """Train one copy of any module per row of `members`; `train` for other architectures than the perceptron.

    Same batches, optimiser and recipe; `config.hidden` is not used. Losses are cross-entropy, or the squared error in
    units of the pool's standard deviation. Scaling is the module's own business, unless `config.standardise` asks for
    it: the module then stands between scalers (see `leaq.training.standardise.Scaled`). Inputs of more than one axis
    (images), packed graphs and what a module looks up (tokens) are left as they are; only targets are scaled, then.

    Parameters
    ----------
    make : builds one freshly initialised module; called once a model under the model's own seed.

    Raises
    ------
    InvalidInput
        If a class is absent from a model's members, or training diverges.
    """
    _check(samples, members)
    dtype = torch.float64 if config.dtype == "float64" else torch.float32
    x = torch.tensor(samples.inputs, dtype=dtype, device=device_for(config))
    y = _targets(samples, x)
    # One number for a single target, so that a model's arithmetic is that of one target.
    unit = torch.tensor(spreads(samples), dtype=dtype, device=x.device) if samples.tasks else float(spreads(samples)[0])
    scalers: Scalers = {}
    packed = GRAPHS in samples.flags
    if config.standardise not in ("auto", "none"):
        scalers = fit_scalers(samples, members, config, seed=seed, first=first)
        if x.ndim > 2 or packed or looks_up(make):
            scalers = {name: values for name, values in scalers.items() if name.startswith("output")}
    scaled = partial(Scaled, make, scalers) if scalers else make
    model = StackedModule(scaled, samples.task, x[:2].cpu(), tasks=samples.tasks)
    params = {
        name: tensor.to(x.device)
        for name, tensor in model.init(seed, range(first, first + len(members)), dtype=dtype).items()
    }
    params |= {buffer_of(name): torch.from_numpy(values).to(x) for name, values in scalers.items()}
    optimizer = Descent([params[name] for name in model.trained], config)
    batches, inputs = Batches(members, config, seed=seed, first=first, like=x, fewest=2), model.batches(x)
    recorder = StackRecorder(model.roles, total=batches.total, keep=config.checkpoints)
    with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):  # dropout reads the global generator
        torch.manual_seed(int(stream(seed, "dropout", first).integers(2**63 - 1)))
        for step, (rows, weights) in enumerate(batches, start=1):
            if samples.tasks:
                weights = entry_weights(y[rows], weights)  # noqa: PLW2901
            gradient = model.gradient(params, inputs(rows), y[rows], weights / unit**2)
            for name in model.trained:
                params[name].grad = gradient[name]
            optimizer.step(config.rate(step, batches.total))
            recorder.record(step, params)
            progress("training", step, batches.total)
    checkpoints = recorder.checkpoints()
    _refuse_divergence(checkpoints, first, config)
    return model, checkpoints


def chunks(samples: Samples, models: int, config: TrainingConfig) -> list[slice]:
    """Return which models are trained together, so that their checkpoints fit into memory."""
    weights = sum(a * b + b for a, b in pairwise(MLP.of(samples, config.hidden).widths))
    size = config.chunk or int(np.clip(MEMORY // (8 * weights * config.checkpoints), 1, 64))
    return [slice(start, min(start + size, models)) for start in range(0, models, size)]


class Batches:
    """The records each model sees at each step: every epoch each model walks its own shuffled members.

    Iterating yields ``rows`` (s, b) positions and ``weights`` (s, b): 1 over the size of the model's batch, and 0
    where a model with fewer members has nothing left in the epoch's last batches. An epoch ends before a batch in which
    a model has fewer than `fewest` records; which ones are left out is drawn anew each epoch. Networks trained end to
    end leave out a single one, as chemprop does: its gradient is many times that of a batch, and Adam's steps would be
    small from then on (freesolv, D-MPNN: R2 0.69 and not 0.83). Both lie where `like` lies, the
    weights in its precision (float64 on the CPU if not given).
    """

    def __init__(
        self,
        members: Bools,
        config: TrainingConfig,
        *,
        seed: int,
        first: int,
        like: Tensor | None = None,
        fewest: int = 1,
    ) -> None:
        self._like = torch.empty(0, dtype=torch.float64, device="cpu") if like is None else like
        self._lists = [np.flatnonzero(row) for row in members]
        self._length = max(len(rows) for rows in self._lists)
        self._size = min(config.batch_size, self._length)
        self._epochs = config.epochs
        self._streams = [stream(seed, "batches", first + i) for i in range(len(members))]
        shortest = min(len(rows) for rows in self._lists)
        # With no record of a model in the last batch its mean loss there is 0/0.
        while (last := (self._length - 1) // self._size * self._size) > 0 and shortest < last + min(fewest, self._size):
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
            starts = np.arange(0, self._length, self._size)
            counted = np.repeat(np.add.reduceat(weights, starts, axis=1), np.diff([*starts, self._length]), axis=1)
            # One copy an epoch to where the models are, not one a step.
            there = torch.from_numpy(rows).to(self._like.device), torch.from_numpy(weights / counted).to(self._like)
            yield from zip(*(torch.split(tensor, self._size, dim=1) for tensor in there), strict=True)


class Core:
    """What is trained of the models: everything but the first-layer weights of inputs that never vary.

    A column in which all records of the pool equal the mean it is centred by is 0 after standardisation. Its weights
    have no gradient and keep their initial values (without weight decay), so they need not be carried through every
    step; of a 2,048-bit fingerprint of a small pool that is a third to a half.
    """

    def __init__(self, mlp: MLP, params: dict[str, Tensor], x: Tensor, config: TrainingConfig) -> None:
        self._all, self._mlp = params, mlp
        varies = (x != x[:1]).any(0) | (params["input.mean"] != x[0]).any(0)
        self._columns = None if config.weight_decay > 0 or bool(varies.all()) else varies.nonzero().flatten()
        if self._columns is not None:
            x = x[:, self._columns]
            narrow = {name: params[name][..., self._columns] for name in COLUMNWISE}
            params = {**params, **narrow}
        mean, scale = params["input.mean"], params["input.scale"]
        # Scalers that all models share are applied once, and not to every batch.
        self._scaled = shared_by_all(mean) and shared_by_all(scale)
        self._x = (x - mean[0]) / scale[0] if self._scaled else x.contiguous()
        self.backprop = Backprop(replace(mlp, d=x.shape[1]), params)

    def gradient(self, rows: Tensor, y: Tensor, weights: Tensor) -> None:
        """Fill the gradient on each model's batch: rows (s, b), weights (s, b) summing to 1 a model."""
        params = self.backprop.params
        inputs = self._x.index_select(0, rows.flatten()).view(*rows.shape, -1)  # (s, b, d)
        if not self._scaled:
            inputs.sub_(params["input.mean"].unsqueeze(1)).div_(params["input.scale"].unsqueeze(1))
        targets = y[rows]
        if targets.ndim > 2:
            targets = self._mlp.standard(params, targets)
        elif "output.mean" in params:
            targets = (targets - params["output.mean"]) / params["output.scale"]
        self.backprop(inputs, targets, weights)

    def params(self) -> dict[str, Tensor]:
        """Return every parameter in full width."""
        params = dict(self.backprop.params)
        if self._columns is not None:
            for name in COLUMNWISE:
                self._all[name][..., self._columns] = params[name]
                params[name] = self._all[name]
        return params


def _targets(samples: Samples, x: Tensor) -> Tensor:
    dtype = torch.int64 if samples.task == "classification" else x.dtype
    return torch.tensor(samples.targets, dtype=dtype, device=x.device)


def device_for(config: TrainingConfig, *, cuda: bool | None = None) -> torch.device:
    """Return where models run.

    Parameters
    ----------
    cuda : whether there is a GPU where they run; by default torch is asked for one of this machine.

    Raises
    ------
    InvalidInput
        If the GPU asked for is not there.
    """
    if config.device == "cuda" and not (cuda_here() if cuda is None else cuda):
        raise InvalidInput(
            "device 'cuda' needs a CUDA GPU where models run. Found none. Use device='cpu', or an engine that has one."
        )
    return torch.device(config.device)


def _check(samples: Samples, members: Bools) -> None:
    if members.ndim != 2 or members.shape[1] != len(samples):
        raise InvalidInput(
            f"train: members must have shape (models, {len(samples)}), one column a record. Found {members.shape}."
        )
    counts = members.sum(1)
    if (counts < 2).any():
        raise NotEnoughEvidence(f"train: every model needs at least 2 members. Found {int(counts.min())}. Add records.")
    if samples.task == "classification":
        present = members.astype(np.float64) @ (samples.targets[:, None] == np.arange(len(samples.classes)))  # (s, k)
        _refuse_absent(present, [f"Class {label!r}" for label in samples.classes])
    for at, task in enumerate(samples.tasks):
        column = samples.targets[:, at, None]
        there = column == np.arange(len(task.classes)) if task.classes else ~np.isnan(column)
        named = [f"Class {label!r} of {task.name!r}" for label in task.classes] or [f"A label of {task.name!r}"]
        _refuse_absent(members.astype(np.float64) @ there, named)


def _refuse_absent(present: Floats, named: Sequence[str]) -> None:
    """Refuse models whose members lack something: present (s, k) counts, and what each column is called."""
    if (present == 0).any():
        model, code = np.argwhere(present == 0)[0]
        raise InvalidInput(
            f"train: every class must occur among a model's members. {named[code]} is absent "
            f"from model {model}. Merge rare classes or bring more records of them."
        )


def _refuse_divergence(checkpoints: Checkpoints, first: int, config: TrainingConfig) -> None:
    """NaN and infinity never leave the weights again, so it is enough to look at the last ones."""
    last = checkpoints.last().params.values()
    finite = torch.stack([torch.isfinite(tensor).reshape(len(tensor), -1).all(1) for tensor in last]).all(0)
    bad = (~finite).nonzero().flatten()
    if len(bad):
        models = ", ".join(str(first + int(model)) for model in bad[:5])
        raise InvalidInput(
            f"train: the loss became infinite or NaN in {len(bad)} of {len(finite)} models ({models}). "
            f"Lower the learning rate (found {config.learning_rate:g}; try {config.learning_rate / 10:g})."
        )
