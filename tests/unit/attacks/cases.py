import numpy as np

from leaq.attacks.blocks import Block
from leaq.attacks.scoring import Attack


def tables(rng, *, models=12, n=3000):
    """Members of complementary halves, margins that membership moves by about what models vary by."""
    inside = np.stack([rng.permutation(n) < n // 2 for _ in range(models // 2)])
    members = np.stack([inside, ~inside], axis=1).reshape(models, n)
    scores = rng.normal(0, 2, n) + rng.normal(size=(models, n)) + 0.8 * members
    return members, np.logaddexp(0, -scores), scores


def cut(members, losses, scores, size):
    return lambda: [
        Block(members[:, i : i + size], losses[:, i : i + size], scores[:, i : i + size])
        for i in range(0, members.shape[1], size)
    ]


ATTACK = Attack("probe", "sees the test")
