"""Records in memory are read as the same records in a file."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

import leaq
from leaq.data import load
from leaq.data.loading import columns_of
from leaq.data.memory import in_memory
from leaq.errors import InvalidInput
from leaq.pipeline.options import command
from leaq.training import TrainingConfig


@pytest.fixture
def frame(rng):
    x = rng.normal(size=(40, 2))
    return pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "land": ["DE", "FR"] * 20, "y": (x[:, 0] > 0).astype(int)})


def test_a_frame_is_the_same_as_its_file(frame, tmp_path):
    frame.to_csv(tmp_path / "t.csv", index=False)
    wanted = load(tmp_path / "t.csv", target="y")
    shuffled = frame.set_index(pd.Index([f"p{i}" for i in range(40)]))
    pairs = (frame.drop(columns="y"), frame["y"]), [frame.drop(columns="y"), frame[["y"]]]
    for found in (load(frame, target="y"), load(shuffled, target="y"), *(load(pair) for pair in pairs)):
        np.testing.assert_allclose(found.inputs, wanted.inputs)
        np.testing.assert_array_equal(found.targets, wanted.targets)
        assert [feature.name for feature in found.features] == ["a", "b", "land"]
    assert frame.columns.tolist() == ["a", "b", "land", "y"]


def test_arrays_lists_and_molecules(frame):
    x, y = frame[["a", "b"]].to_numpy(), frame["y"].to_numpy()
    assert [feature.name for feature in load((x, y)).features] == ["x0", "x1"]
    np.testing.assert_array_equal(load((x.tolist(), y.tolist())).inputs, x)
    pytest.importorskip("rdkit")
    smiles = ["C" * i for i in range(1, 31)]
    assert load((smiles, np.arange(30) / 7)).kind == "smiles"


@pytest.mark.parametrize(("pair", "message"), [
    ((np.zeros((3, 2)), np.zeros(4)), "or one column a task. Found X of 3 records and y of shape .4,."),
    ((np.zeros((3, 2)), np.zeros((3, 2, 2))), "one column a task. Found X of 3 records and y of shape .3, 2, 2."),
    ((np.zeros(()), np.zeros(3)), "must hold one row a record"),
    ((pd.DataFrame({"y": [1, 2]}), pd.Series([1, 2], name="y")), "no column of X. Found 'y' in both"),
])  # fmt: skip
def test_what_does_not_belong_together_is_refused(pair, message):
    with pytest.raises(InvalidInput, match=message):
        load(pair)


def test_a_frame_is_audited_like_its_file(frame, tmp_path):
    frame.to_csv(tmp_path / "table.csv", index=False)
    training = TrainingConfig(hidden=(4,), epochs=2, checkpoints=2)
    quick = {"quantizers": "sign", "replicates": 4, "draws": 20, "training": training}
    audits = [
        leaq.audit(str(tmp_path / "table.csv"), target="y", **quick),
        leaq.audit(frame, target="y", **quick),
        leaq.audit((frame.drop(columns="y"), frame["y"]), **quick),
    ]
    losses = [[row.metrics["accuracy"].value for row in result.rows] for result in audits]
    assert losses[0] == losses[1] == losses[2]
    assert audits[1].config["source"] == "DataFrame in memory"
    assert command(audits[1].config).startswith("leaq audit TABLE.csv --target y")
    with pytest.raises(InvalidInput, match="table: --target must name a column"):
        leaq.audit(frame, **quick)


def test_rows_in_another_order_names_twice_and_masks_are_not_read_over(frame):
    inputs, y = frame[["a", "b"]], frame["y"]
    with pytest.raises(InvalidInput, match=r"same row labels in another order\. Give y\.loc\[X\.index\]"):
        load((inputs, y.sample(frac=1, random_state=0)))
    with pytest.raises(InvalidInput, match="column names must differ. Found twice: a"):
        load(inputs.set_axis(["a", "a"], axis=1).assign(y=y), target="y")
    hidden = np.ma.array(inputs.to_numpy(), mask=np.arange(80).reshape(40, 2) == 6)
    with pytest.raises(InvalidInput, match=r"Missing or infinite in 1 row \(4\), columns 'x0'"):
        load((hidden, y))


@pytest.mark.parametrize("source", [[1, 2, 3], None, 5])
def test_what_is_no_source_is_refused_in_words(source):
    with pytest.raises(InvalidInput, match="must be a name, a file, a data frame or a pair"):
        load(source)


def test_tensors_of_every_kind_and_sparse_targets_are_arrays(rng):
    x, y = rng.normal(size=(40, 3)), np.arange(40) % 2
    want = load((x, y)).inputs
    tensor = torch.tensor(x)
    for inputs in (tensor.clone().requires_grad_(), tensor.to_sparse(), tensor.T.contiguous().T):
        assert np.array_equal(load((inputs, torch.tensor(y))).inputs, want)
    assert np.allclose(load((tensor.bfloat16(), y)).inputs, want, atol=0.02)
    assert load((scipy.sparse.csr_matrix(x), scipy.sparse.csc_matrix(y[:, None]))).targets.tolist() == y.tolist()


def test_tables_of_arrow_are_frames(frame):
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.Table.from_pandas(frame)
    for source in (table, table.to_batches()[0]):
        assert in_memory(source)
        assert np.array_equal(load(source, target="y").inputs, load(frame, target="y").inputs)
    pair = table.drop_columns(["y"]), table["y"]
    assert np.array_equal(load(pair).inputs, load(frame, target="y").inputs)
    assert columns_of(table) == list(frame.columns)


def test_what_is_no_table_is_told_how_to_become_one():
    frame = pd.DataFrame({"a": [1.0, 2.0], "y": [0, 1]})
    for source, said in (
        ({"train": frame, "test": frame}, r"Found dict of 'train', 'test'. Give one of these"),
        (frame.to_dict("records") * 2, r"Found list of 4. Give pandas.DataFrame"),
        (frame.to_records(index=False), r"Found recarray of 'a', 'y'. Give pandas.DataFrame"),
    ):
        with pytest.raises(InvalidInput, match=said):
            load(source, target="y")
        with pytest.raises(InvalidInput, match=said):  # it asked for the members of a finished model
            leaq.audit(source, target="y")
