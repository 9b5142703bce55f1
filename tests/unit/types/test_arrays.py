import numpy as np
import pytest
import torch

from leaq.errors import InvalidInput
from leaq.types import LossTable
from leaq.types.arrays import memberships
from tests.unit.types.cases import samples, table


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"targets": np.zeros(3)}, "must be equally long. Found 30 and 3"),
        ({"classes": ("a",)}, "at least two class names"),
        ({"groups": np.zeros(4, np.int64)}, r"groups must have shape \(30,\)"),
    ],
)
def test_samples_that_do_not_fit_are_refused(options, text):
    with pytest.raises(InvalidInput, match=text):
        samples(**options)


def test_nan_inputs_are_counted_and_located():
    inputs = np.ones((30, 2))
    inputs[4, 0], inputs[9] = np.nan, np.inf
    with pytest.raises(InvalidInput, match=r"Found 3 NaN or infinite values in 2 rows \(5, 10\)"):
        samples(inputs=inputs)


@pytest.mark.parametrize(
    ("losses", "options", "text"),
    [
        (np.ones((3, 4)), {}, "must be .models, candidates, records."),
        (np.ones((2, 0, 4)), {}, "needs a model, a candidate and a record"),
        (np.ones((2, 3, 5)), {}, r"members must have shape \(2, 5\)"),
        (None, {"n_train": 0}, "n_train must be at least 1"),
        (None, {"n_train": 1e30}, r"n_train must be a whole number. Found 1e\+30"),
        (None, {"task": "ranking"}, "task must be classification or regression or multitask. Found 'ranking'"),
        (None, {"game": "chess"}, "game must be iid or pool or calibration or released or series. Found 'chess'"),
        (np.full((2, 3, 4), "1"), {}, "losses must be real numbers. Found <U1"),
        (np.ones((2, 3, 4), bool), {}, "losses must be real numbers. Found bool"),
        (np.ones((2, 3, 4), complex), {}, "losses must be real numbers. Found complex128"),
        (np.array([[[None] * 4] * 3] * 2), {}, "losses must be real numbers. Found object"),
        (None, {"outputs": np.ones((2, 4, 0))}, r"outputs must hold at least one number a record"),
        (None, {"scores": np.full((2, 4), np.nan)}, r"scores must be finite. Found 8 \(nan at \[0, 0\], ...\)"),
        (
            None,
            {"targets": np.array([0, 1, 1, 3]), "outputs": np.ones((2, 4, 3))},
            r"targets must lie between 0 and 2. Found 1 \(3 at \[3\]\) outside",
        ),
        (None, {"targets": np.array([0, 1, 1, 0.5])}, r"targets must be whole numbers. Found 1 \(0.5 at \[3\]\)"),
        (None, {"ids": np.array(["a", "b", "c", "d"])}, "ids must be whole numbers. Found <U1"),
        (None, {"groups": np.array([0.0, np.nan, 1, 2])}, r"groups must be whole numbers. Found 1 \(nan at \[1\]\)"),
        (None, {"scores": np.ones((2, 5))}, r"scores must have shape \(2, 4\)"),
        (None, {"outputs": np.ones((1, 4, 2))}, r"outputs must have shape \(2, 4, any\)"),
        (None, {"whitebox": np.ones((2, 4))}, r"whitebox must have shape \(2, 4, any\). Found \(2, 4\)"),
        (None, {"targets": np.ones(5)}, r"targets must have shape \(4,\)"),
    ],
)
def test_tables_that_do_not_fit_are_refused(losses, options, text):
    with pytest.raises(InvalidInput, match=text):
        table(losses, **options)


def test_the_candidate_with_a_nan_loss_is_named():
    losses = np.ones((2, 3, 4))
    losses[1, 2, 0] = np.nan
    with pytest.raises(InvalidInput, match="Found 1 NaN or infinite values, first in candidate 2 of model 1"):
        table(losses)


def test_other_real_numbers_become_float64_and_nothing_else_is_copied():
    half = np.array([[[0.5, 0.25]]], np.float16)
    found = LossTable(half, np.array([[True, False]]), "classification", "pool", 1, targets=np.array([0.0, 1.0]))
    assert (found.losses.dtype, found.losses.tolist()) == (np.float64, half.tolist())
    assert found.targets.dtype == np.int64
    exact = np.ones((1, 1, 2))
    assert LossTable(exact, np.array([[True, False]]), "regression", "iid", 1).losses is exact


@pytest.mark.parametrize("told", [[1, 0, 1], [1.0, 0.0, 1.0], [True, False, 1], torch.tensor([True, False, True])])
def test_memberships_are_truth_values_or_ones_and_zeros(told):
    assert memberships(told, name="members", shape=(3,)).tolist() == [True, False, True]


@pytest.mark.parametrize("told", [[1, -1, 1], ["1", "0", "1"], [None, True, False], [1, 2, 1], [np.nan, 1, 0]])
def test_everything_else_is_no_membership(told):
    with pytest.raises(InvalidInput, match="members must be true or false, or 1 and 0. Found"):
        memberships(told, name="members", shape=(3,))


def test_losses_of_tensors_are_taken_and_masked_ones_are_missing():
    plain = LossTable.from_losses([0.5, 0.25], [1.0, 2.0])
    for kind in (torch.float16, torch.bfloat16, torch.float64):
        found = LossTable.from_losses(torch.tensor([0.5, 0.25], dtype=kind, requires_grad=True), [1.0, 2.0])
        assert np.array_equal(found.losses, plain.losses)
    with pytest.raises(InvalidInput, match="must be finite"):
        LossTable.from_losses(np.ma.array([0.5, -999.0], mask=[False, True]), [1.0, 2.0])
