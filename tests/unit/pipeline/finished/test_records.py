"""The same records in every form people have them."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from leaq.errors import InvalidInput
from leaq.pipeline.finished.files import read_records_file
from leaq.pipeline.finished.records import groups_of, nearly_equal, overlap_of, read_records
from tests.unit.pipeline.finished.models import audit_finished, halves, overfitted


@pytest.fixture
def pair(rng):
    return rng.normal(size=(30, 4)).astype(np.float32), rng.integers(3, size=30)


class Training(NamedTuple):
    """A batch as graph libraries make them: the model's arguments, the targets, and what belongs to training."""

    x: object
    extra: object
    Y: object
    w: object
    lt_mask: object = None


class Columns:
    """What a Hugging Face data set looks like from outside."""

    def __init__(self, **columns):
        self.columns = columns
        self.column_names = list(columns)

    def __len__(self):
        return len(next(iter(self.columns.values())))

    def __getitem__(self, rows):
        return {name: list(values[rows]) for name, values in self.columns.items()}


def forms(x, y):
    tensors = TensorDataset(torch.tensor(x), torch.tensor(y))
    return {
        "arrays": (x, y),
        "tensors": (torch.tensor(x), torch.tensor(y)),
        "lists of labels": (x, y.tolist()),
        "lists": (x.tolist(), y.tolist()),
        "frames": (pd.DataFrame(x), pd.Series(y)),
        "64 bits": (x.astype(np.float64), y.astype(">i4")),
        "mapping": {"x": x, "y": y},
        "named tuples": [Training(x[:10], None, y[:10], np.ones(10)), Training(x[10:], None, y[10:], np.ones(20))],
        "loader": DataLoader(tensors, batch_size=7),
        "torch data set": tensors,
        "list of batches": [(x[:10], y[:10]), (x[10:], y[10:])],
        "iterator": iter([(x[:10], y[:10]), (x[10:], y[10:])]),
        "loader of mappings": [{"inputs": x[:10], "labels": y[:10]}, {"inputs": x[10:], "labels": y[10:]}][0:2],
        "columns": Columns(inputs=x, label=y),
    }


@pytest.mark.parametrize("form", [name for name in forms(np.zeros((30, 1), np.float32), np.zeros(30, int))])
def test_every_form_gives_the_same_records(pair, form):
    x, y = pair
    given = forms(x, y)[form]
    if form == "loader of mappings":
        given = iter(given)
    records = read_records(given, name="members")
    assert len(records) == 30
    np.testing.assert_array_equal(records.targets, y)
    if form == "named tuples":  # one argument is no array
        assert records.batches[1].inputs[1] is None
        return
    np.testing.assert_allclose(records.features, x)


def test_a_frame_names_its_target(pair):
    x, y = pair
    frame = pd.DataFrame(x, columns=list("abcd")).assign(out=y)
    records = read_records(frame, name="members", target="out")
    np.testing.assert_array_equal(records.targets, y)
    np.testing.assert_allclose(records.features, x)
    two = read_records(frame, name="members", target="out", columns=("b", "d"))
    np.testing.assert_allclose(two.features, x[:, [1, 3]])
    with pytest.raises(InvalidInput, match=r"name the target column of a data frame .* Columns: a, b, c, d, out"):
        read_records(frame, name="members")
    with pytest.raises(InvalidInput, match="There is no 'e'"):
        read_records(frame, name="members", target="out", columns=("e",))


def test_batches_with_bounds_for_targets_are_refused(pair):
    x, y = pair
    bounds = torch.zeros(30, dtype=torch.bool)
    batch = Training(torch.tensor(x), None, y, None, bounds)
    assert len(read_records([batch], name="members")) == 30
    bounds[3] = True
    with pytest.raises(InvalidInput, match="The field 'lt_mask' of a batch marks 1 of them as bounds"):
        read_records([batch], name="members")


def test_holes_are_kept_where_a_record_has_another_target(pair):
    x, y = pair
    two = np.stack([y, y], 1).astype(float)
    two[4, 0] = np.nan
    assert np.isnan(read_records((x, two), name="members").targets[4, 0])
    two[4, 1] = np.nan
    with pytest.raises(InvalidInput, match=r"in 1 row \(4\), counted from 0, of the targets"):
        read_records((x, two), name="members")


def test_several_target_columns_keep_their_names(pair):
    x, y = pair
    frame = pd.DataFrame(x).assign(toxic=y, logS=x[:, 0] * 2)
    frame.loc[4, "toxic"] = np.nan
    found = read_records(frame, name="members", target="toxic, logS")
    assert found.names == ("toxic", "logS")
    assert found.features.shape == x.shape
    np.testing.assert_allclose(found.targets[:, 1], x[:, 0] * 2, rtol=1e-6)
    assert np.isnan(found.targets[4, 0])
    again = read_records((x, frame[["toxic", "logS"]]), name="members")
    assert again.names == found.names
    with pytest.raises(InvalidInput, match="There is no 'logP'. Columns: 0, 1"):
        read_records(frame, name="members", target="toxic,logP")


def test_a_shuffling_loader_is_walked_once(pair):
    x, y = pair
    loader = DataLoader(TensorDataset(torch.tensor(x), torch.tensor(y)), batch_size=8, shuffle=True)
    records = read_records(loader, name="members")
    first = np.concatenate([batch.inputs.numpy() for batch in records.batches])
    second = np.concatenate([batch.inputs.numpy() for batch in records.batches])
    np.testing.assert_array_equal(first, second)
    assert sorted(map(tuple, first)) == sorted(map(tuple, x))


def test_several_columns_are_named_arguments(pair):
    x, y = pair
    data = Columns(a=x, b=x * 2, outcome=y)
    records = read_records(data, name="members", target="outcome")
    assert set(records.batches[0].inputs) == {"a", "b"}
    with pytest.raises(InvalidInput, match="name the target column with target=... Columns: a, b, outcome"):
        read_records(data, name="members")


def test_several_arrays_are_one_records_inputs(pair):
    x, y = pair
    both = read_records(((x, 2 * x), y), name="members")
    named = read_records(({"a": x, "b": 2 * x}, y), name="members")
    assert torch.equal(both.batches[0].inputs[1], torch.tensor(2 * x))
    assert torch.equal(named.batches[0].inputs["b"], torch.tensor(2 * x))
    assert (both.keys == named.keys).all()
    with pytest.raises(InvalidInput, match=r"equally long. Found shapes \(30, .*\), \(7, .*\) and \(30,\)"):
        read_records(((x, x[:7]), y), name="members")
    bad = x.copy()
    bad[3] = np.nan
    with pytest.raises(InvalidInput, match=r"Found NaN or infinite ones in .*3"):
        read_records(((x, bad), y), name="members")
    with pytest.raises(InvalidInput, match="a mapping must hold 'x' and 'y'. Found 'a', 'b'"):
        read_records({"a": x, "b": y}, name="members")


def test_a_real_hugging_face_data_set_is_read(pair):
    datasets = pytest.importorskip("datasets")
    x, y = pair
    plain = datasets.Dataset.from_dict(
        {"inputs": x.tolist(), "label": y.tolist(), "id": [str(i) for i in range(len(x))]}
    )
    wanted = read_records((x, y), name="members")
    for data in (plain, plain.with_format("torch"), plain.with_format("numpy")):
        found = read_records(data, name="members", columns=("inputs",), target="label")
        assert (found.targets == wanted.targets).all()
        np.testing.assert_allclose(found.features, wanted.features, rtol=1e-6)
    with pytest.raises(InvalidInput, match="Inputs and targets must be numbers. Found the words"):
        read_records(plain, name="members", columns=("id",), target="label")


def test_batches_of_graphs_carry_their_targets():
    class Graphs:
        def __init__(self, n):
            self.y = torch.arange(n)

    records = read_records([Graphs(3), Graphs(2)], name="members")
    assert len(records) == 5
    assert records.features is None


@pytest.mark.parametrize(("data", "message"), [
    ((np.zeros((3, 2)), np.zeros(4)), "must be equally long. Found shapes"),
    ((np.array([["a"], ["b"]]), np.zeros(2)), "must be numbers. Found the words 'a', 'b'. Give classes as codes"),
    ((np.array([[1.0], [np.nan]]), np.zeros(2)), r"Found NaN or infinite ones in 1 row \(1\)"),
    ((np.array([[1.0], [1.0]]), np.array([0.0, np.inf])), r"1 row \(1\), counted from 0"),
    (3, "needs a pair .* Found int"),
    ([3, 4], "needs a pair"),
    ((np.zeros((0, 2)), np.zeros(0)), "at least one record. Found none"),
])  # fmt: skip
def test_what_cannot_be_read_is_refused(data, message):
    with pytest.raises(InvalidInput, match=message):
        read_records(data, name="members")


def test_overlap_and_groups_follow_the_inputs(pair):
    x, y = pair
    inside = read_records((x, y), name="members")
    outside = read_records((np.r_[x[3:5], x[:5] + 1], y[:7]), name="nonmembers")
    assert overlap_of(inside, outside).tolist() == [0, 1]
    groups = groups_of(inside, outside)
    assert groups[3] == groups[30]
    assert len(np.unique(groups)) == 35


def test_a_frame_may_have_numbers_for_names_but_not_one_twice():
    frame = pd.DataFrame(np.eye(3), columns=[0, 1, 2]).assign(y=[0, 1, 0])
    assert read_records(frame, name="members", target="y").features.shape == (3, 3)
    with pytest.raises(InvalidInput, match="column names must differ. Found twice: a"):
        read_records(frame.set_axis(["a", "a", "b", "y"], axis=1), name="members", target="y")


def test_targets_in_another_order_than_their_frame_are_refused(pair):
    frame = pd.DataFrame(pair[0])
    with pytest.raises(InvalidInput, match="members: records and targets must stand in one order"):
        read_records((frame, pd.Series(pair[1], index=frame.index[::-1])), name="members")
    assert len(read_records((frame, pd.Series(pair[1], index=frame.index + 1000)), name="members")) == len(frame)


def test_records_without_any_of_several_labels_are_said_to_have_none(pair):
    targets = np.full((len(pair[0]), 2), np.nan)
    targets[1:, 0] = 1
    with pytest.raises(InvalidInput, match=r"infinite ones, or none at all, in 1 row \(0\)"):
        read_records((pair[0], targets), name="members")


@pytest.mark.parametrize(("names", "text"), [
    (lambda names: names[::-1], "input columns must be the same in one order, the model's. Found the same columns in"),
    (lambda names: [*names[:-1], "other"], r"Found of the members alone 'x5'; of the nonmembers alone 'other'"),
])  # fmt: skip
def test_columns_of_members_and_nonmembers_stand_in_one_order(names, text):
    (x, y), (others, labels) = halves()
    columns = [f"x{i}" for i in range(x.shape[1])]
    model = overfitted(x, y)
    members = (pd.DataFrame(x, columns=columns), y)
    same = audit_finished(model, members, (pd.DataFrame(others, columns=columns), labels), quantizers="none", draws=20)
    assert same.rows
    with pytest.raises(InvalidInput, match=text):
        audit_finished(model, members, (pd.DataFrame(others, columns=names(columns)), labels), quantizers="none")


def test_non_members_that_are_members_but_for_rounding_are_told(rng):
    x = rng.normal(size=(60, 4))
    inside = read_records((x[:40], np.zeros(40)), name="members")
    for again, count in ((x[30:40].round(4), 10), (x[40:50].round(4), 0)):
        outside = read_records((np.concatenate([again, again + 9]), np.zeros(20)), name="nonmembers")
        assert nearly_equal(inside, outside).tolist() == list(range(count))
        assert not len(overlap_of(inside, outside))


def test_a_mapping_and_a_file_may_name_x_and_y_in_capitals(rng, tmp_path):
    x, y = rng.normal(size=(20, 3)), np.arange(20) % 2
    np.savez(tmp_path / "a.npz", X=x, Y=y)
    for data in ({"X": x, "Y": y}, {"X": x, "y": y}, read_records_file(tmp_path / "a.npz")):
        assert np.array_equal(read_records(data, name="members").targets, y)
