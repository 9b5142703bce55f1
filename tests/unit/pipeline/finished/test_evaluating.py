import copy

import numpy as np
import pytest
import torch
from torch import nn

from leaq.errors import InvalidInput
from leaq.types import AttackResult
from tests.unit.pipeline.finished.cases import QUICK, codes
from tests.unit.pipeline.finished.models import audit_finished, fit


def test_the_model_is_left_in_training_mode_and_flagged(model, data):
    model = copy.deepcopy(model).train()
    before = copy.deepcopy(model.state_dict())
    result = audit_finished(model, *data, **QUICK)
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert "training-mode" in codes(result.flags)


def test_dropout_and_batch_normalisation_are_evaluated_as_released(data):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
    result = audit_finished(fit(module, torch.tensor(data[0][0]), torch.tensor(data[0][1]), steps=5), *data, **QUICK)
    with torch.no_grad():
        module.eval()
        wanted = nn.functional.cross_entropy(module(torch.tensor(data[1][0])), torch.tensor(data[1][1]))
    assert result.rows[0].metrics["loss"].value == pytest.approx(float(wanted), rel=1e-5)


def test_nothing_is_made_on_the_default_device(model, data):
    """With the default device without values, a tensor that forgets the model's device is an error."""
    from leaq.models import checkpoints_of
    from leaq.pipeline.finished.evaluating import ModelEvaluator
    from leaq.pipeline.finished.records import read_records
    from leaq.quantizers import build

    inside, outside = (read_records(part, name="members") for part in data)
    with torch.device("meta"):
        evaluator = ModelEvaluator.build(model, inside, outside)
        released = checkpoints_of(model)
        for spec in ("sign", "ternary(sparsity=0.5)", "uniform(bits=4)"):
            table = evaluator.table(build(spec).fitted_to(released)(released), quantizer=spec)
            assert np.isfinite(table.losses).all()

    class Forgetful(nn.Linear):
        def forward(self, x):
            return super().forward(x) + torch.zeros(2)

    with pytest.raises(InvalidInput, match="meta"), torch.device("meta"):  # negative control
        ModelEvaluator.build(Forgetful(6, 2, device="cpu"), inside, outside)


def test_a_loss_of_ones_own_is_enough(model, data):
    def brier(outputs, targets):
        return ((outputs.softmax(-1) - nn.functional.one_hot(targets, 2)) ** 2).sum(-1)

    result = audit_finished(model, *data, loss=brier, **QUICK)
    assert result.config["loss"] == "brier"
    assert isinstance(result.rows[0].attacks["threshold"], AttackResult)


def test_a_mean_loss_is_explained(model, data):
    def mean(outputs, targets):
        return nn.functional.cross_entropy(outputs, targets)

    with pytest.raises(InvalidInput, match=r"mean must return one value per record.*looks like a mean over the batch"):
        audit_finished(model, *data, loss=mean, **QUICK)


def test_a_loss_that_looks_at_the_batch_is_explained(model, data):
    def centred(outputs, targets):
        losses = nn.functional.cross_entropy(outputs, targets, reduction="none")
        return losses - losses.mean()

    with pytest.raises(
        InvalidInput, match="must not depend on the others in its batch. Under centred the first record"
    ):
        audit_finished(model, *data, loss=centred, **QUICK)


def test_outputs_that_are_not_finite_name_records_or_the_candidate(data):
    class Broken(nn.Linear):
        def forward(self, x):
            return super().forward(x) / (x[:, :1] < 2.0).float()

    (x, y), outside = data
    with pytest.raises(InvalidInput, match=r"outputs must be finite. They are NaN or infinite for 1 row \(45\)"):
        audit_finished(Broken(6, 2), (x, y), outside, **QUICK)
    with pytest.raises(InvalidInput, match="Model 0, candidate 0 under none"):
        audit_finished(Broken(6, 2), (x.clip(max=1.9), y), (outside[0] + 2, outside[1]), **QUICK)
