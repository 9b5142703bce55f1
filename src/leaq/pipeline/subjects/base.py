"""What every subject gives: trained models, stacked, with the weights they are released with."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import torch

from leaq.models.protocols import Model
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.subjects.given import Given
from leaq.training import MLP, StackedModule
from leaq.types import Activations, Bools, Checkpoints, Flag, Progress, Samples


@dataclass(frozen=True)
class Trained:
    """Some models of one architecture.

    Attributes
    ----------
    model : how weights become outputs.
    checkpoints : weights along training, batch (s, c); the last ones are released.
    flags : doubts about how they were made.
    quantized_by : specifications of the quantizers that a released file is recognised to have gone through.
    held : models at the front that are released as they are; what they have gone through does not round them again.
    activations : how these round activations, with ranges of their own, (2,) each; None where they do not.
    """

    model: Model
    checkpoints: Checkpoints
    flags: tuple[Flag, ...] = ()
    quantized_by: tuple[str, ...] = ()
    held: int = 0
    activations: Activations | None = None

    def with_held(self, candidates: Checkpoints, before: Checkpoints, *, by: str) -> Checkpoints:
        """Return candidates quantized `by` a specification, of which a file's own weights are as they were before."""
        if not self.held or by not in self.quantized_by:
            return candidates
        kept = {name: tensor.clone() for name, tensor in candidates.params.items()}
        for name, tensor in kept.items():
            tensor[: self.held] = before.params[name][: self.held]
        return replace(candidates.replace(kept), activations=self._with_own_ranges(candidates.activations))

    def _with_own_ranges(self, how: Activations | None) -> Activations | None:
        """Return static ranges in which the held models have their own; what these do not round has none."""
        if how is None or not how.static:
            return how
        ranges = {name: tensor.clone() for name, tensor in how.ranges.items()}
        own = {} if self.activations is None else self.activations.ranges
        for name, tensor in ranges.items():
            tensor[: self.held] = own[name] if name in own else tensor.new_tensor([-torch.inf, torch.inf])
        return how.with_ranges(ranges)


Reads = Literal["rows", "arrays", "texts"]
"""What records may be: of one axis, of several, or texts."""


class Subject(Protocol):
    """Gives models; model ``i`` is the same in whatever chunk it is asked for."""

    @property
    def reads(self) -> frozenset[Reads]:
        """What its models take; records of several axes are laid flat for one that takes rows alone."""
        ...

    def network(self, samples: Samples) -> MLP | StackedModule | None:
        """Return how weights become outputs before anything is trained, to time it; None if that is not known."""
        ...

    def parts(self, samples: Samples, models: int) -> list[slice]:
        """Return which models are made together."""
        ...

    def train(self, samples: Samples, members: Bools, *, which: slice, progress: Progress) -> Trained:
        """Make the models `which`, each on its own row of `members`, (s, n)."""
        ...


@dataclass(frozen=True)
class Kind:
    """How a kind of subject is come by; each file of this folder that has a ``SUBJECT`` is asked for its own.

    Attributes
    ----------
    asked : returns the subject where a configuration, with what is in memory beside it, asks for this kind; else None.
    place : kinds of a lower one are asked first.
    options : by which it is asked for, named or in memory; where there are none, it is always asked.
    """

    asked: Callable[[AuditConfig, Given], Subject | None]
    place: int = 0
    options: tuple[str, ...] = ()
