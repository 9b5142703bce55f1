"""Several targets a record: what each of them is, and which of a model's outputs are whose.

One model predicts all of them from shared layers. Targets are (n, t) float64 with NaN where a record has no label of a
task. Of a task with two classes and of a value there is one output, a logit or the value; of more classes there is one
logit a class; they lie in the order of the tasks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Literal

MULTITASK: Final = "multitask"
"""What `Samples.task` and `LossTable.task` say where records have several targets."""


@dataclass(frozen=True)
class TaskSpec:
    """One of several targets.

    Attributes
    ----------
    name : of its column.
    kind : classes or values.
    classes : names in code order (empty for values).
    unit : of values, for display.
    """

    name: str
    kind: Literal["classification", "regression"]
    classes: tuple[str, ...] = ()
    unit: str = ""

    @property
    def outputs(self) -> int:
        """Number of outputs: one logit of two classes, one a class of more, one value."""
        return len(self.classes) if len(self.classes) > 2 else 1


@dataclass(frozen=True)
class Layout:
    """Which outputs of a model belong to which of its tasks.

    Examples
    --------
    >>> toxic = TaskSpec("toxic", "classification", ("no", "yes"))
    >>> phase = TaskSpec("phase", "classification", ("gas", "liquid", "solid"))
    >>> layout = Layout((toxic, phase, TaskSpec("logS", "regression")))
    >>> layout.outputs, layout.columns(1), layout.single, layout.values
    (5, slice(1, 4, None), (0, 2), (2,))
    """

    tasks: tuple[TaskSpec, ...]

    @property
    def starts(self) -> tuple[int, ...]:
        """First output of each task, and the number of all."""
        return tuple(accumulate((task.outputs for task in self.tasks), initial=0))

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return self.starts[-1]

    def columns(self, task: int) -> slice:
        """Return the outputs of one task."""
        return slice(*self.starts[task : task + 2])

    @property
    def single(self) -> tuple[int, ...]:
        """Tasks of one output."""
        return tuple(at for at, task in enumerate(self.tasks) if task.outputs == 1)

    @property
    def several(self) -> tuple[int, ...]:
        """Tasks of more than two classes."""
        return tuple(at for at, task in enumerate(self.tasks) if task.outputs > 1)

    @property
    def values(self) -> tuple[int, ...]:
        """Tasks that are regressions."""
        return tuple(at for at, task in enumerate(self.tasks) if task.kind == "regression")

    @property
    def kinds(self) -> frozenset[str]:
        """Whether there are classes, values or both."""
        return frozenset(task.kind for task in self.tasks)

    @classmethod
    def of(cls, tasks: Sequence[TaskSpec]) -> "Layout | None":
        """Return the layout of several tasks; None of a single target, whose outputs are one a class or one value."""
        return cls(tuple(tasks)) if tasks else None
