"""Named tolerances, and the folder of real test data."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

ROUNDING = {"rtol": 1e-10, "atol": 1e-12}
"""The same quantity by another route in float64."""
ROUNDING32 = {"rtol": 1e-5, "atol": 1e-6}
"""The same in float32."""

SHARED = Path(__file__).parents[2] / "shared" / "data"


def sampling(se: float, k: float = 4.0) -> dict[str, float]:
    """Monte-Carlo tolerance of k standard errors (k = 4: one false alarm in 16,000)."""
    return {"rtol": 0.0, "atol": k * se}


def require(module: str) -> None:
    """Skip the test if `module` is not installed -- or fail, where everything must be there (LEAQ_REQUIRE_ALL=1)."""
    if find_spec(module.split(".", maxsplit=1)[0]) is None:
        if os.environ.get("LEAQ_REQUIRE_ALL"):
            pytest.fail(f"{module} must be installed here")
        pytest.skip(f"{module} is not installed")


def shared(*parts: str) -> Path:
    """Return a file of the real test data, or skip the test where the folder is absent."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs the test data {path}, which is not on this machine")
    return path
