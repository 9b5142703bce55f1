"""Fixtures for every test. No global seed, no default dtype: a test takes its randomness from `rng`."""

import os

# Before numpy and torch are loaded: tests run in two processes side by side, one thread each, so that they neither
# fight for cores nor depend on how many there are.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import settings

# A busy machine is no fault of the code: no example has a deadline.
settings.register_profile("leaq", deadline=None)
settings.load_profile("leaq")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20260213)


@pytest.fixture(autouse=True)
def nothing_kept_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verbs keep no run where tests happen to run, and read none of an earlier test; tests of that name a folder."""
    monkeypatch.setenv("LEAQ_RUNS_DIR", "off")


@pytest.fixture(autouse=True)
def as_wide_as_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Printed tables are folded to no terminal's width, whichever runner the tests run under."""
    monkeypatch.delenv("COLUMNS", raising=False)
