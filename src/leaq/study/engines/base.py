"""What the runner asks of an engine, and the engine that runs each task at once, in this process."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from leaq.errors import LeaqError
from leaq.system.environment import cuda_here
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


class Value:
    """A value, or what was raised in its place."""

    def __init__(self, value: Any = None, error: Exception | None = None) -> None:
        self.value = value
        self.error = error

    def get(self) -> Any:
        """Return the value, or raise."""
        if self.error is not None:
            raise self.error
        return self.value


class Here:
    """What engines share whose tasks run on this machine."""

    @property
    def has_cuda(self) -> bool:
        """Whether torch can use a GPU of this machine."""
        return cuda_here()


class Local(Here):
    """One task at a time, here."""

    slots = 1

    def submit(
        self, task: Task, *args: Any, returns: int = 1, cuda: bool = False, progress: Progress
    ) -> tuple[Handle, ...]:
        """Run the task now; what it raises is kept for `result`. Interruptions pass through."""
        try:
            found = task(*[arg.get() if isinstance(arg, Value) else arg for arg in args], progress=progress)
        except Exception as err:  # kept with the cell it belongs to
            return (Value(error=err),) * returns
        return (Value(found),) if returns == 1 else tuple(Value(part) for part in found)

    def share(self, value: Any) -> Handle:
        """Wrap a value."""
        return Value(value)

    def wait(self, handles: Sequence[Handle]) -> Handle:
        """Every task has ended by now."""
        return handles[0]

    def result(self, handle: Handle) -> Any:
        """Return the value, or raise."""
        return handle.get()

    def close(self) -> None:
        """Nothing to give back."""
