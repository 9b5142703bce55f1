"""What the runner asks of an engine."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from leaq.errors import LeaqError
from leaq.types import Progress

Handle = Any
"""Stands for a value that may not be there yet; hashable; may be an argument of another task."""
Task = Callable[..., Any]


class WorkerDied(LeaqError):
    """The process a task ran in ended without a result, more often than it is tried again."""


class Engine(Protocol):
    """Runs functions of plain values, some at a time.

    `slots` is how many; a handle belongs to the engine that made it.
    """

    @property
    def slots(self) -> int:
        """Tasks that run at the same time."""
        ...

    @property
    def has_cuda(self) -> bool:
        """Whether tasks find a CUDA GPU where they run."""
        ...

    def submit(
        self, task: Task, *args: Any, returns: int = 1, cuda: bool = False, progress: Progress
    ) -> tuple[Handle, ...]:
        """Start ``task(*args)`` when a slot is free; handles among `args` are replaced by their values.

        `cuda` says that the task needs a GPU.
        """
        ...

    def share(self, value: Any) -> Handle:
        """Return a handle of a value that is already here."""
        ...

    def wait(self, handles: Sequence[Handle]) -> Handle:
        """Return one of `handles` whose task has ended, as soon as there is one."""
        ...

    def result(self, handle: Handle) -> Any:
        """Return the value, or raise what the task raised."""
        ...

    def close(self) -> None:
        """Stop what runs and give back processes."""
        ...
