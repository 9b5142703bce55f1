"""Loss tables whose leak is known: what every test of an attack starts from."""

import numpy as np

from leaq.types import LossTable


def paired_members(rng, models, n):
    """Complementary halves, as `leaq.data.splits.halves` draws them."""
    members = np.zeros((models, n), bool)
    for i in range(0, models, 2):
        members[i, rng.permutation(n)[: n // 2]] = True
        members[i + 1] = ~members[i]
    return members


def planted(rng, *, models=12, n=60, leak=1.0, task="classification", ties=False, classes=3):
    """Models whose signal is shifted by `leak` standard deviations for members; 0 = no leak.

    Records differ in difficulty (a spread of 2), which shadow attacks can take out and a loss threshold cannot.
    """
    members = paired_members(rng, models, n)
    difficulty = 2 * rng.normal(size=n)
    noise = rng.normal(size=(models, n))
    if task == "classification":
        scores = difficulty + noise + leak * members
        scores = np.round(scores, 1) if ties else scores
        losses = np.logaddexp(0, -scores)
        targets = np.arange(n) % classes
        kind = "margin"
    else:
        scores = difficulty * (1 - 0.3 * leak * members) + 0.3 * noise
        losses = scores**2
        targets = rng.normal(size=n)
        kind = "residual"
    return LossTable(
        losses=losses[:, None],
        members=members,
        task=task,
        game="pool",
        n_train=n // 2,
        scores=scores,
        targets=targets,
        score_kind=kind,
        whitebox=rng.normal(size=(models, n, 3)) + 0.5 * leak * members[:, :, None],
    )


def with_(table, **fields):
    """The same table with some fields exchanged."""
    return LossTable(**{**vars(table), **fields})
