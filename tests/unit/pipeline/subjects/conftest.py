import numpy as np
import pandas as pd
import pytest
from safetensors.torch import save_file

import leaq
from tests.unit.pipeline.subjects.cases import N, overfit


@pytest.fixture
def table(rng):
    x = rng.normal(size=(N, 6))
    frame = pd.DataFrame(x, columns=[f"c{i}" for i in range(6)])
    return frame.assign(y=rng.permutation(np.arange(N) % 2))


@pytest.fixture
def released(table, tmp_path):
    """A file that ships, and who trained it: half of the table."""
    inside = np.zeros(N, dtype=bool)
    inside[np.random.default_rng(3).permutation(N)[: N // 2]] = True
    rows = table[inside]
    records = leaq.Samples(
        rows.drop(columns="y").to_numpy(), rows["y"].to_numpy(), "classification", classes=("0", "1")
    )
    module = overfit(records, 7)
    save_file(module.state_dict(), tmp_path / "model.safetensors")
    return module, inside, tmp_path / "model.safetensors"
