"""Which recorded step goes when there are too many, without knowing how long training will last."""

from collections.abc import Sequence

import numpy as np


def surplus(steps: Sequence[int], spacing: str, stride: int) -> tuple[tuple[int, ...], int]:
    """Return the steps to drop from a list that is one too long, and the stride from now on.

    Parameters
    ----------
    steps : recorded steps, ascending.
    spacing : "equal" drops every other step and doubles the stride; "dense_end" drops the one step whose absence
        is smallest compared with its distance from the end.
    stride : steps between two records.

    Examples
    --------
    >>> surplus([10, 20, 30, 40, 50], "equal", 10)
    ((10, 30, 50), 20)
    """
    if spacing == "equal":
        return tuple(step for step in steps if step % (2 * stride)), 2 * stride
    at = np.asarray(steps, dtype=float)
    # Without step i a hole of at[i + 1] - at[i - 1] opens; at a distance from the end a larger hole is tolerable.
    # The first and the last step stay.
    hole = at[2:] - at[:-2]
    distance = at[-1] - at[:-2] + stride
    return (int(at[1 + int(np.argmin(hole / distance))]),), stride


def is_due(step: int, every: int, by: str) -> bool:
    """Tell whether a step (counted from 1) is recorded.

    Examples
    --------
    >>> [step for step in range(1, 101) if is_due(step, 3, "log")]
    [1, 3, 5, 10, 22, 47, 100]
    """
    if by != "log":
        return step % every == 0
    # Steps nearest above 10^(j / every): the count of grid points changes between step - 1 and step.
    return step == 1 or np.floor(every * np.log10(step) + 1e-9) > np.floor(every * np.log10(step - 1) + 1e-9)
