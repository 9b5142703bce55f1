"""Fixtures for every test. No global seed, no default dtype: a test takes its randomness from `rng`."""

import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20260213)
