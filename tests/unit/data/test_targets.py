import numpy as np
import pytest

from leaq.data.tables import from_arrays


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
