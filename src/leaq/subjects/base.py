"""What every subject gives: trained models, stacked, with the weights they are released with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from leaq.models.protocols import Model
from leaq.types import Bools, Checkpoints, Flag, Progress, Samples

__all__ = ["Given", "Subject", "Trained"]


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


@dataclass(frozen=True)
class Given:
    """What of the user's is in memory, where it is no text in a configuration.

    Attributes
    ----------
    data : records, a data frame or a pair ``(X, y)``.
    members : which of them trained the released model; see `leaq.data.load`.
    make : builds a network; see `leaq.cell.Origin`.
    train : trains one; of (records, seed).
    released : the module that is released.
    """

    data: Any = None
    members: Any = None
    make: Callable[..., Any] | None = None
    train: Callable[..., Any] | None = None
    released: Any = None


class Subject(Protocol):
    """Gives models; model ``i`` is the same in whatever chunk it is asked for."""

    def parts(self, samples: Samples, models: int) -> list[slice]:
        """Return which models are made together."""
        ...

    def train(self, samples: Samples, members: Bools, *, which: slice, progress: Progress) -> Trained:
        """Make the models `which`, each on its own row of `members`, (s, n)."""
        ...
