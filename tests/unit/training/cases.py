import numpy as np

from leaq.data.tables import from_arrays
from leaq.training import TrainingConfig

TASKS = ["classification", "regression"]


CONFIG = TrainingConfig(hidden=(6, 5), epochs=2, batch_size=8, checkpoints=2)


def records(task, rng, n=40):
    x = rng.normal(size=(n, 4))
    x[:, 2] = 1.0  # a constant column is left out of training
    return from_arrays(x, rng.permutation(np.arange(n) % 3) if task == "classification" else rng.normal(size=n))
