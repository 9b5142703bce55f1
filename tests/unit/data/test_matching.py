import numpy as np
import pandas as pd
import pytest

from leaq.data.matching import same_rows


@pytest.fixture
def source(rng):
    frame = pd.DataFrame(rng.normal(size=(300, 3)) * [1, 40, 0.01], columns=list("abc"))
    return frame.assign(word=rng.choice(["u", "v"], 300), count=rng.integers(0, 9, 300))


@pytest.mark.parametrize("digits", ["32", "%.5g", "%.7g", "places"])
def test_rows_are_found_but_for_rounding_on_either_side(source, digits):
    coarse = source.iloc[100:200].reset_index(drop=True)
    for name, places in (("a", 3), ("b", 1), ("c", 5)):
        values = coarse[name].round(places) if digits == "places" else coarse[name].astype("float32").astype(float)
        coarse[name] = values if "%" not in digits else coarse[name].map(lambda value: float(digits % value))
    assert same_rows(source, coarse).tolist() == list(range(100, 200))
    assert same_rows(coarse, source.iloc[100:200]).tolist() == list(range(100))


def test_other_rows_are_others(source, rng):
    new = source.iloc[:100].assign(a=rng.normal(size=100))
    assert same_rows(source, new).max() == -1
    assert same_rows(source, new.round(3)).max() == -1
    other = source.iloc[:100].assign(word=source["word"].map({"u": "v", "v": "u"}))
    assert same_rows(source, other).max() == -1


def test_a_row_is_taken_once_and_holes_are_equal():
    source = pd.DataFrame({"a": [np.nan, 1.5, 1.5, -0.0], "b": [None, "x", "x", "y"]})
    others = source.iloc[[1, 2, 1, 0, 3]].assign(a=lambda frame: frame["a"] + 0.0)
    assert same_rows(source, others).tolist() == [1, 2, -1, 0, 3]


def test_columns_of_one_value_overflow_nothing():
    """Padded texts have them: what was divided by their spread overflowed."""
    rows = pd.DataFrame({"a": np.arange(30) / 7, "b": np.zeros(30), "c": np.full(30, 1 / 3)})
    assert same_rows(rows, rows.round(5).iloc[::-1]).tolist() == list(range(29, -1, -1))
