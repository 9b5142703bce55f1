"""What a recorded run tells of its members: an order where it can be told, the reason where not, nothing unasked."""

import numpy as np
import pytest
import torch
from torch import nn

from leaq.errors import InvalidInput
from leaq.measures.one_run import lt_iqr, record_risk
from leaq.pipeline.finished.evaluating import ModelEvaluator
from leaq.pipeline.finished.recorded import Run, refuse_unseen, told_by
from leaq.pipeline.finished.records import read_records
from leaq.types import Checkpoints
from tests.unit.pipeline.finished.models import halves


def evaluator(net, **options):
    inside, outside = (read_records(part, name="records") for part in halves(n=120))
    return ModelEvaluator.build(net, inside, outside, **options)


def recording(count):
    rng = np.random.default_rng(0)
    params = {"weight": torch.tensor(rng.normal(size=(1, count, 2, 6)).astype(np.float32))}
    return Checkpoints(params, {"weight": "linear"}, (1, count))


def test_the_order_is_that_of_the_losses_of_its_members():
    judge = evaluator(nn.Linear(6, 2, bias=False))
    found = told_by(judge, recording(6))
    losses = judge.table(recording(6)).losses[0, :, :60]
    (x, y), _ = halves(n=120)
    assert found.private["run_risk"] == record_risk(losses, x, y, "classification").tolist()
    np.testing.assert_array_equal(found.private["run_baselines"]["LT-IQR"], lt_iqr(losses))
    assert found.described == {"recorded": 6}
    assert found.missing is None


def test_without_a_recording_nothing_is_said_and_a_short_one_tells_why():
    judge = evaluator(nn.Linear(6, 2, bias=False))
    assert told_by(judge, None) == Run()
    assert Run().described == {}
    short = told_by(judge, recording(3))
    assert "4 checkpoints. Found 60 and 3" in short.missing.reason
    assert short.private == {}
    assert short.described == {"recorded": 3}


def test_a_model_that_shows_no_weights_has_no_recording():
    refuse_unseen(nn.Linear(2, 2))
    with pytest.raises(InvalidInput, match="A recording belongs to a model whose weights are seen"):
        refuse_unseen(nn.Flatten())
