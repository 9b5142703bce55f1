from itertools import combinations

import numpy as np

from leaq.measures.finite_sample import Options
from leaq.measures.loss_gaps import sorted_set
from tests.helpers import sampling

MANY = Options(resamples=0, draws=10_000, most=100_000, close=0.5, error=0.01)


def every_half(losses, n):
    """The pool game: over every n of the pool's records, a record's law inside against its law outside."""
    pool = losses.shape[1]
    inside, outside = np.zeros(losses.shape), np.zeros(losses.shape)
    for rows in combinations(range(pool), n):
        member = np.isin(np.arange(pool), rows)
        winner = losses[:, member].sum(1).argmin()
        inside[winner, member] += 1
        outside[winner, ~member] += 1
    difference = inside / inside.sum(0) - outside / outside.sum(0)
    return 0.5 * np.abs(difference).sum(0).mean()


def drawn(seed, k=4, n=6, *, ties=False):
    rng = np.random.default_rng(seed)
    return sorted_set(rng.integers(0, 2, (k, n)).astype(float) if ties else rng.random((k, n)))


def close_to(truth, found):
    np.testing.assert_allclose(found.raw, truth, **sampling(max(found.error, 2e-4), 5))
