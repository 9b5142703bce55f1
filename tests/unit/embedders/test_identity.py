import numpy as np
import pandas as pd

from leaq.data.reading import Reading
from leaq.data.tables import from_frame
from leaq.embedders import Identity


def test_categories_become_one_column_a_level(rng):
    frame = pd.DataFrame({"a": rng.normal(size=30), "colour": ["red", "blue", "green"] * 10, "y": np.arange(30) / 7})
    found = Identity().transform(from_frame(frame, Reading(target="y")))
    assert found.shape == (30, 4)
    np.testing.assert_allclose(found[:, 0], frame["a"], rtol=1e-6)
    assert found[:2, 1:].tolist() == [[0, 0, 1], [1, 0, 0]]  # blue, green, red
