"""What every subject gives: trained models, stacked, with the weights they are released with."""

from dataclasses import dataclass
from typing import Protocol

from leaq.models.protocols import Model
from leaq.types import Bools, Checkpoints, Flag, Progress, Samples

__all__ = ["Subject", "Trained"]


@dataclass(frozen=True)
class Trained:
    """Some models of one architecture.

    Attributes
    ----------
    model : how weights become outputs.
    checkpoints : weights along training, batch (s, c); the last ones are released.
    flags : doubts about how they were made.
    quantized_by : specifications of the quantizers that a released file is recognised to have gone through.
    """

    model: Model
    checkpoints: Checkpoints
    flags: tuple[Flag, ...] = ()
    quantized_by: tuple[str, ...] = ()


class Subject(Protocol):
    """Gives models; model ``i`` is the same in whatever chunk it is asked for."""

    def parts(self, samples: Samples, models: int) -> list[slice]:
        """Return which models are made together."""
        ...

    def train(self, samples: Samples, members: Bools, *, which: slice, progress: Progress) -> Trained:
        """Make the models `which`, each on its own row of `members`, (s, n)."""
        ...
