"""Intervals of r and of the finite-sample leak contain the truth often enough, ties included."""

import numpy as np
import pytest

from leaq.measures.finite_sample import Options, leak_of
from leaq.measures.rate import rate
from leaq.types import LossTable

GRID = {
    "clear": [0.0, 0.5, 0.8],
    "near": [0.0, 0.05, 0.1, 0.5],
    "one tie": [0.0, 0.0, 0.5],
    "all tied": [0.0] * 5,
    "many": [0.0] + [0.3] * 19,
}
RUNS = 200


@pytest.mark.slow
@pytest.mark.parametrize("skewed", [False, True])
@pytest.mark.parametrize("name", GRID)
def test_r_is_covered(name, skewed):
    means = np.array(GRID[name])
    c = len(means)
    truth = min((m - means.min()) ** 2 / 4 for m in means[1:])
    covered = 0
    for seed in range(RUNS):
        rng = np.random.default_rng(seed)
        noise = rng.exponential(1, (c, 400)) - 1 if skewed else rng.standard_normal((c, 400))
        table = LossTable((noise + means[:, None])[None], np.zeros((1, 400), bool), "regression", "iid", 100)
        r = rate(table, draws=20, seed=seed).r
        covered += r.low <= truth <= r.high
    assert covered / RUNS >= 0.90


@pytest.mark.slow
@pytest.mark.parametrize("name", ["clear", "near", "one tie"])
def test_the_finite_sample_leak_is_covered(name):
    means = np.array(GRID[name])
    n = 30

    def drawn(seed, size):
        return np.random.default_rng(seed).normal(means[:, None], 1.0, (len(means), size))

    truth = leak_of(drawn(10**6, 40_000), n, options=Options(resamples=0)).raw
    options = Options(draws=1000, close=0.2)
    found = [leak_of(drawn(seed, 600), n, seed=seed, options=options) for seed in range(60)]
    assert np.mean([one.low <= truth <= one.high for one in found]) >= 0.85  # 60 runs: 0.95 less 3.5 standard errors
