import numpy as np
import pytest

from leaq.data.splits import halves
from leaq.data.tables import from_arrays
from leaq.evaluation import evaluate_checkpoints
from leaq.evaluation.loss_table import loss_table
from leaq.quantizers import build
from leaq.training import TrainingConfig, train


@pytest.fixture(scope="module")
def trained():
    rng = np.random.default_rng(0)
    samples = from_arrays(rng.normal(size=(40, 4)), np.arange(40) % 2)
    members = halves(samples, 4, seed=0)
    model, checkpoints = train(samples, members, TrainingConfig(hidden=(5,), epochs=2, checkpoints=3), seed=0)
    return model, checkpoints, samples, members


def test_it_is_the_evaluation_and_nothing_else_unless_asked_for(trained):
    model, checkpoints, samples, members = trained
    candidates = build("sign")(checkpoints)
    found = loss_table(model, candidates, samples, members, quantizer="sign")
    plain = evaluate_checkpoints(model, candidates, samples, members, quantizer="sign")
    np.testing.assert_array_equal(found.losses, plain.losses)
    assert (found.whitebox, found.numbers, found.quantizer) == (None, None, "sign")


def test_statistics_of_the_weights_and_numbers_of_the_file_come_when_asked_for(trained):
    model, checkpoints, samples, members = trained
    found = loss_table(model, checkpoints, samples, members, whitebox=True, numbers=True)
    assert found.whitebox.shape[:2] == (4, 40)
    assert set(found.numbers) >= {"scaler.mean"} or found.numbers
    more = loss_table(model, checkpoints, samples, members, numbers=True, codes=True)
    assert set(more.numbers) >= set(found.numbers)
