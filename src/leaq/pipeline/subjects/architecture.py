"""A network of the user's, trained by leaq: copies of it stacked, as the perceptron is."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from leaq.models.nets import NETS, Net
from leaq.models.weights import built
from leaq.pipeline.cell import IN_MEMORY, AuditConfig
from leaq.pipeline.subjects.base import Kind, Reads, Trained
from leaq.pipeline.subjects.given import Given
from leaq.pipeline.subjects.outputs import probe_of, refuse_unfit
from leaq.system.usercode import is_code, user_function
from leaq.training import StackedModule, TrainingConfig, chunks, train_modules
from leaq.training.batched import MEMORY
from leaq.types import Bools, Progress, Samples
from leaq.types.tasks import Layout

CHUNK = 16
"""Copies trained in one tensor program where the configuration does not say."""


@dataclass(frozen=True)
class Architecture:
    """Copies of one network, each trained on its own members by the recipe of the configuration.

    Attributes
    ----------
    make : returns a torch module; is given those of features, outputs, task and shape that it names.
    """

    make: Callable[..., Any]
    training: TrainingConfig
    seed: int

    reads: ClassVar[frozenset[Reads]] = frozenset({"rows", "arrays"})

    def network(self, samples: Samples) -> StackedModule:
        """Return the user's network, copies of it stacked."""
        probe = torch.tensor(samples.inputs[:2], dtype=torch.float32)
        return StackedModule(partial(network_for, self.make, samples), samples.task, probe, tasks=samples.tasks)

    def parts(self, samples: Samples, models: int) -> list[slice]:
        """Return 16 at a time, or as many as their checkpoints fit into memory, unless the configuration says."""
        chunk = self.training.chunk
        if not chunk:
            with torch.random.fork_rng(devices=[]):
                weights = sum(tensor.numel() for tensor in network_for(self.make, samples).state_dict().values())
            chunk = max(1, min(CHUNK, MEMORY // (8 * max(1, weights) * self.training.checkpoints)))
        return chunks(samples, models, self.training.model_copy(update={"chunk": chunk}))

    def train(self, samples: Samples, members: Bools, *, which: slice, progress: Progress) -> Trained:
        """Train the models `which`."""
        make = partial(network_for, self.make, samples)
        if not isinstance(self.make, Net):  # ours fit by construction
            with torch.random.fork_rng(devices=[]):
                refuse_unfit(make(), samples)
        model, checkpoints = train_modules(
            make, samples, members, self.training, seed=self.seed, first=which.start, progress=progress
        )
        doubts = self.make.flags() if isinstance(self.make, Net) else ()
        return Trained(model, checkpoints, doubts if model.note is None else (*doubts, model.note))


def network_for(make: Callable[..., Any], samples: Samples) -> nn.Module:
    """Return one fresh network for these records.

    `make` may name ``features`` (width of a record), ``outputs`` (number of classes, 1 for a value; of several targets
    as in `leaq.types.tasks`), ``task`` ("classification", "regression" or "multitask") and ``shape`` (of one record)
    among its arguments.

    Raises
    ------
    InvalidInput
        If it fails, or returns no torch module.
    """
    layout = Layout.of(samples.tasks)
    single = len(samples.classes) if samples.task == "classification" else 1
    if single == 2 and isinstance(make, Net) and make.one_logit:
        single = 1
    outputs = single if layout is None else layout.outputs
    shape = tuple(samples.inputs.shape[1:])
    given = {"features": int(samples.inputs[0].size), "outputs": outputs, "task": samples.task, "shape": shape}
    module = built(make, given)
    tensors = (*module.parameters(), *module.buffers())
    if any(isinstance(one, UninitializedParameter | UninitializedBuffer) for one in tensors):
        with torch.no_grad():  # lazy layers take their shapes, and their weights, from what they run on first
            module.eval()(probe_of(module, samples))
        module.train()
    return module


def network_named(model: str) -> Net | None:
    """Return one of leaq's own networks; None where a function is named or in memory, or nothing."""
    return None if not model or is_code(model) or model.endswith(IN_MEMORY) else NETS.build(model)


def _asked(config: AuditConfig, given: Given) -> Architecture:
    make = given.model
    if make is None:
        make = network_named(config.model) or user_function(config.model, what="model")
    return Architecture(make, config.training, config.seed)


SUBJECT = Kind(_asked, place=40, options=("model",))
