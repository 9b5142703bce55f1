"""The engine that runs each task at once, in this process."""

from collections.abc import Sequence
from typing import Any

from leaq.study.engines.base import Handle, Task
from leaq.system.environment import cuda_here
from leaq.types import Progress


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


class Local:
    """One task at a time, here."""

    slots = 1

    @property
    def has_cuda(self) -> bool:
        """Whether torch can use a GPU of this machine."""
        return cuda_here()

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
