"""Several networks released as one, as chemprop's ensembles are: each trained by itself on the same members."""

import copy
from dataclasses import dataclass, replace

import torch

from leaq.errors import InvalidInput
from leaq.models.nets import Chemprop
from leaq.models.nets.chemprop import Ensemble
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.subjects.architecture import Architecture, network_named
from leaq.pipeline.subjects.base import Kind, Reads, Trained
from leaq.pipeline.subjects.given import Given
from leaq.seeds import stream
from leaq.training import StackedModule
from leaq.types import Bools, Checkpoints, Progress, Samples


@dataclass(frozen=True)
class Ensembles:
    """Ensembles of one network: model i of each of them is trained on the members of ensemble i.

    Attributes
    ----------
    one : trains one network of each ensemble.
    size : networks of an ensemble.
    """

    one: Architecture
    size: int

    @property
    def reads(self) -> frozenset[Reads]:
        """What one network reads."""
        return self.one.reads

    def network(self, samples: Samples) -> StackedModule:
        """Return ensembles, stacked."""
        return self._stacked([self.one.network(samples)] * self.size, samples)

    def parts(self, samples: Samples, models: int) -> list[slice]:
        """Return as many at a time as of one network."""
        return self.one.parts(samples, models)

    def train(self, samples: Samples, members: Bools, *, which: slice, progress: Progress) -> Trained:
        """Train the ensembles `which`, one network of all of them after the other."""
        made: list[Trained] = []
        for at in range(self.size):

            def step(what: str, done: int, total: int, before: int = at) -> None:
                progress(what, before * total + done, self.size * total)

            seed = int(stream(self.one.seed, "ensemble", at).integers(2**31))
            made.append(replace(self.one, seed=seed).train(samples, members, which=which, progress=step))
        model = self._stacked([one.model for one in made if isinstance(one.model, StackedModule)], samples)
        parts = [one.checkpoints for one in made]
        params = {f"members.{at}.{name}": tensor for at, one in enumerate(parts) for name, tensor in one.params.items()}
        held = Checkpoints({name: params[name] for name in model.roles}, model.roles, parts[0].batch, parts[0].steps)
        return Trained(model, held, made[0].flags)

    def _stacked(self, models: list[StackedModule], samples: Samples) -> StackedModule:
        ensemble = Ensemble([copy.deepcopy(model.module) for model in models], _kind(samples))
        probe = torch.tensor(samples.inputs[:2], dtype=torch.float32)
        return StackedModule(lambda: copy.deepcopy(ensemble), samples.task, probe, tasks=samples.tasks)


def _kind(samples: Samples) -> str:
    """Return what networks predict, in the words of `Ensemble`."""
    kinds = {
        "regression" if not task.classes else "binary" if len(task.classes) == 2 else "classes"
        for _, task in samples.each_target
    }
    if len(kinds) > 1 or (samples.tasks and "classes" in kinds):
        raise InvalidInput(
            "An ensemble predicts values alone, or targets of two classes alone. Found targets of several kinds. Name "
            "targets of one kind, or leave ensemble out."
        )
    return kinds.pop()


def _asked(config: AuditConfig, given: Given) -> Ensembles | None:
    net = network_named(config.model) if given.model is None else None
    if not isinstance(net, Chemprop) or net.ensemble == 1:
        return None
    return Ensembles(Architecture(net, config.training, config.seed), net.ensemble)


SUBJECT = Kind(_asked, place=30, options=("model",))
