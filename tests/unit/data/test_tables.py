import numpy as np
import pytest

from leaq.data.tables import from_arrays
from leaq.errors import InvalidInput


@pytest.mark.parametrize(
    ("y", "task", "classes"),
    [
        (np.arange(40) % 2, "classification", ("0", "1")),
        ((np.arange(40) % 2).astype(float), "classification", ("0", "1")),
        (np.array(["yes", "no"] * 20), "classification", ("no", "yes")),
        (np.arange(40) % 2 == 0, "classification", ("False", "True")),
        (np.arange(40), "regression", ()),
        (np.arange(40) / 3, "regression", ()),
    ],
)
def test_the_task_is_read_off_the_target(rng, y, task, classes):
    samples = from_arrays(rng.normal(size=(40, 2)), y)
    assert (samples.task, samples.classes) == (task, classes)


def test_arrays_take_groups(rng):
    samples = from_arrays(rng.normal(size=(40, 2)), rng.normal(size=40), groups=np.arange(40) // 4)
    assert len(np.unique(samples.groups)) == 10
    with pytest.raises(InvalidInput, match=r"group must have shape \(40,\)\. Found \(39,\)"):
        from_arrays(rng.normal(size=(40, 2)), rng.normal(size=40), groups=np.arange(39))
    with pytest.raises(InvalidInput, match=r"x must be \(n, d\)"):
        from_arrays(np.arange(40), np.arange(40))
