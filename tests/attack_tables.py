"""Loss tables whose leak is known: what every test of an attack starts from."""

from dataclasses import replace

import numpy as np

from leaq.attacks.file import ReadFile
from leaq.data.splits import halves
from leaq.types import LossTable, Samples


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


def uneven_groups(kind):
    """Groups as real data have them: scaffolds of ESOL (the largest 253 of 1,117), or 100 patients of 6 visits."""
    if kind == "scaffolds":
        sizes = [253, 90, 40, 30, 20, 15, 12, 10, 9, 8, *[5] * 20, *[2] * 60, *[1] * 410]
        return np.repeat(np.arange(len(sizes)), sizes)
    return np.repeat(np.arange(100), np.random.default_rng(0).poisson(5, 100) + 1)


def grouped(rng, groups, *, models=16, leak=0.0, offset=1.0, shared=1.0):
    """Models of whole groups, as `halves` splits them; an `offset` sd moves all signals of a model together.

    `shared` sd of difficulty are common to a group, so that an attack may take the group for the membership.
    """
    table = planted(rng, models=models, n=len(groups), leak=0.0)
    targets = rng.normal(size=len(groups))
    samples = Samples(inputs=np.zeros((len(groups), 1)), targets=targets, task="regression", groups=groups)
    members = halves(samples, models, seed=int(rng.integers(2**31)))
    moved = offset * rng.normal(size=(models, 1)) + shared * rng.normal(size=len(groups))[groups]
    scores = table.scores + leak * members + moved
    return replace(table, members=members, scores=scores, losses=np.logaddexp(0, -scores)[:, None], groups=groups)


def with_(table, **fields):
    """The same table with some fields exchanged."""
    return LossTable(**{**vars(table), **fields})


def file_scores(table, features, targets=None):
    """What the file alone tells of each record and model, (t, n): higher = more likely a member."""
    return ReadFile(table, features).scores(range(len(table.members)) if targets is None else targets)


def with_file(rng, table, *, leak=1.0, columns=80):
    """The table with the numbers of released files, and the features (n, columns) these are sums of over members.

    Scalers are the members' own (leak = 1) or noise (leak = 0); columns carry them blurred, biases nothing.
    """
    features = (rng.random((table.members.shape[1], columns)) < 0.1).astype(float)
    share = table.members @ (features - features.mean(0)) / table.members.sum(1, keepdims=True)
    noise = rng.normal(size=share.shape) * share.std()
    exact = leak * share + (1 - leak) * noise
    numbers = {
        "scaler.mean": features.mean(0) + exact,
        "columns.mean": leak * share + noise,
        "bias": rng.normal(size=(len(share), 5)),
    }
    return replace(table, numbers=numbers), features
