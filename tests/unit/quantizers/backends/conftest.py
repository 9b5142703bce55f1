from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def ggml():
    with np.load(Path(__file__).with_name("ggml_types.npz")) as stored:
        return dict(stored)
