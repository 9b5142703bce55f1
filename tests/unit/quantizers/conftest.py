import numpy as np
import pytest

from leaq.data.tables import from_arrays
from leaq.training import TrainingConfig, train


@pytest.fixture(scope="module")
def trained():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 12))
    samples = from_arrays(x, x[:, 0] + np.abs(x[:, 1]) + 0.1 * rng.normal(size=200))
    members = np.zeros((3, 200), dtype=bool)
    members[:, :120] = rng.random((3, 120)) < 0.6
    config = TrainingConfig(hidden=(16, 8), epochs=30, checkpoints=5, standardise="pool")
    model, checkpoints = train(samples, members, config, seed=0)
    return model, checkpoints, samples.inputs[120:]
