import numpy as np

from leaq.types import LossTable, Samples


def samples(n=30, **options):
    given = {"inputs": np.arange(2.0 * n).reshape(n, 2), "targets": np.arange(n) % 2, "classes": ("a", "b")}
    return Samples(**{"task": "classification", **given, **options})


def table(losses=None, **options):
    losses = np.ones((2, 3, 4)) if losses is None else losses
    members = np.array([[True, True, False, False], [False, False, True, True]])
    given = {"members": members, "task": "classification", "game": "pool", "n_train": 2}
    return LossTable(losses=losses, **{**given, **options})
