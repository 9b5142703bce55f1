"""Numbers of every type and container people have."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch

from leaq.errors import InvalidInput
from leaq.pipeline.finished.arrays import is_numbers, tensor_of

X = np.array([[1.5, 0.0], [-2.0, 1.0]])
FRAMES = {
    "bool beside float": pd.DataFrame({"a": X[:, 0], "b": [False, True]}),
    "nullable whole numbers": pd.DataFrame({"a": X[:, 0], "b": pd.array([0, 1], dtype="Int64")}),
    "decimals": pd.DataFrame({"a": [Decimal("1.5"), Decimal(-2)], "b": [0, 1]}),
    "objects": pd.DataFrame({"a": X[:, 0], "b": [0, 1]}).astype(object),
    "one name twice": pd.DataFrame(X, columns=["a", "a"]),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_frames_are_read_column_by_column(frame):
    np.testing.assert_array_equal(tensor_of(frame).double().numpy(), X)


@pytest.mark.parametrize("dtype", [">f4", ">f8", np.longdouble, np.float16, np.float64, object])
def test_every_type_of_number(dtype):
    np.testing.assert_array_equal(tensor_of(X.astype(dtype)).double().numpy(), X)
    assert tensor_of(X, double=True).dtype == torch.float64
    assert tensor_of(X.astype(int).astype(">i4")).dtype == torch.int64


def test_what_a_mask_hides_is_missing():
    masked = np.ma.array([[1.0, -9999.0]], mask=[[False, True]])
    assert tensor_of(masked).isnan().tolist() == [[False, True]]
    assert tensor_of(np.ma.array([1, 2])).tolist() == [1, 2]
    assert tensor_of(pd.Series([1, None], dtype="Int64")).isnan().tolist() == [False, True]


@pytest.mark.parametrize(("values", "message"), [
    (
        pd.DataFrame({"a": [1.0], "name": ["x"], "day": pd.to_datetime(["2026-01-01"])}),
        "Columns that hold something else: 'name', 'day'",
    ),
    (np.array([1 + 2j]), "must be numbers. Found complex128"),
    (np.array(["a"]), "must be numbers. Found the words 'a'. Give classes as codes"),
    (pd.Series(["a", 3], name="y"), "Found the words 'a' in column 'y'"),
])  # fmt: skip
def test_what_is_no_number_is_named(values, message):
    with pytest.raises(InvalidInput, match=message):
        tensor_of(values)


def test_nests_of_lists():
    assert is_numbers([[1, 2], [3, 4]], axes=2)
    assert not is_numbers([1, 2], axes=2)
    assert not is_numbers([[1, 2], [3]], axes=1)
    assert not is_numbers([np.zeros(2), np.zeros(2)], axes=1)
    assert not is_numbers(["a"], axes=1)


def test_sparse_tensors_and_records_of_other_kinds():
    dense = torch.tensor([[0.0, 2.0], [3.0, 0.0]])
    for sparse in (dense.to_sparse(), dense.to_sparse(sparse_dim=1)):
        assert torch.equal(tensor_of(sparse), dense)
    for values, remedy in (
        (np.array([1 + 2j]), "real and imaginary parts"),
        (np.zeros(2, [("a", "f4"), ("b", "f4")]), "fields as columns"),
        (np.array(["2020-01-01"], "datetime64[D]"), "dates into numbers"),
    ):
        with pytest.raises(InvalidInput, match=remedy):
            tensor_of(values)
