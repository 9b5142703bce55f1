import copy

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from leaq.errors import InvalidInput, LeaqError
from leaq.models import checkpoints_of
from leaq.models.tables import Judge
from leaq.pipeline.finished import evaluating as room
from leaq.pipeline.finished import running
from leaq.pipeline.finished.evaluating import ModelEvaluator
from leaq.pipeline.finished.records import read_records
from leaq.reporting.tables import by_task
from leaq.types import AttackResult, Estimate, NotComputed, Samples
from leaq.types.tasks import TaskSpec
from tests.unit.pipeline.finished.cases import QUICK, codes
from tests.unit.pipeline.finished.models import audit_finished, fit, noisy


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


def test_a_large_model_sees_few_records_at_a_time_from_the_first_on(model, data, monkeypatch):
    """The first run is beside a copy of its weights, where activations of many records would be the largest part."""
    inside, outside = (read_records(part, name="members") for part in data)
    usual = ModelEvaluator.build(model, inside, outside).table(checkpoints_of(model))
    seen = []
    model.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    monkeypatch.setattr(running, "LARGE", 0)
    monkeypatch.setattr(room, "FIRST", 3)
    monkeypatch.setattr(room, "at_once", lambda _: 5 * 48)
    few = ModelEvaluator.build(model, inside, outside).table(checkpoints_of(model))
    assert seen[0] == 3
    assert max(seen) <= 5  # the widest layer gives 48 numbers a record
    np.testing.assert_allclose(few.losses, usual.losses, rtol=1e-4, atol=1e-6)


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


def test_several_targets_are_judged_as_those_of_trained_models_are():
    """The joint table, and one of each task, of the same outputs and labels."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 6)).astype(np.float32)
    y = np.c_[x[:, 0] > 0, x[:, 1] * 3, rng.integers(0, 3, 120)].astype(float)
    y[rng.random(y.shape) < 0.3] = np.nan
    y[:, 1] = np.where(np.isnan(y).all(1), 1.0, y[:, 1])
    frame = pd.DataFrame(y, columns=["toxic", "logS", "phase"])
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 5))
    inside, outside = (read_records((x[rows], frame[rows]), name="members") for rows in (slice(50), slice(50, 120)))
    found = ModelEvaluator.build(model, inside, outside).table(checkpoints_of(model))
    tasks = (
        TaskSpec("toxic", "classification", ("0", "1")),
        TaskSpec("logS", "regression"),
        TaskSpec("phase", "classification", ("0", "1", "2")),
    )
    labels = inside.targets.astype(float), outside.targets.astype(float)
    judge = Judge(Samples(x, np.concatenate(labels), "multitask", tasks=tasks))
    with torch.no_grad():
        wanted = judge.table(model(torch.tensor(x))[None].double(), found.members, game="iid")
    np.testing.assert_allclose(found.losses, wanted.losses, rtol=1e-6)
    np.testing.assert_allclose(found.scores, wanted.scores, rtol=1e-5, atol=1e-6)
    assert list(found.by_task) == ["toxic", "logS", "phase"]
    for name, part in found.by_task.items():
        np.testing.assert_allclose(part.losses, wanted.by_task[name].losses, rtol=1e-6)
        np.testing.assert_array_equal(part.members, wanted.by_task[name].members)
        np.testing.assert_array_equal(part.targets, wanted.by_task[name].targets)


def test_a_task_with_few_labels_or_none_says_so_beside_the_others():
    x, y = (part.astype(np.float32) for part in noisy(160))
    labels = np.c_[y, np.full(160, np.nan), np.full(160, np.nan), x[:, 1]]
    labels[3:6, 1] = [0.0, 1.0, 1.0]  # members alone
    torch.manual_seed(0)
    result = audit_finished(nn.Linear(6, 4), (x[:80], labels[:80]), (x[80:], labels[80:]), **QUICK)
    row = result.rows[0]
    assert list(row.by_task) == ["task0", "task1", "task3"]
    assert isinstance(row.by_task["task0"].metrics["roc_auc"], Estimate)
    assert isinstance(row.by_task["task0"].attacks["threshold"], AttackResult)
    assert isinstance(row.by_task["task1"].metrics["roc_auc"], NotComputed)
    assert isinstance(row.by_task["task1"].attacks["threshold"], NotComputed)
    assert isinstance(row.metrics["skill"], Estimate)
    assert any("No record has a label of 'task2'" in flag.text for flag in result.flags)
    text = "\n".join(" ".join(row) for row in by_task(result).rows)
    assert "task3" in text
    assert "task2" not in text


def test_shares_of_several_classes_beside_logits_are_the_same_row():
    x, y = noisy(160)
    labels = np.c_[y, x[:, 1] > 0.3].astype(np.float32)
    torch.manual_seed(0)
    model = fit(nn.Linear(6, 2), torch.tensor(x), torch.tensor(labels), loss=F.binary_cross_entropy_with_logits)
    shipped = nn.Sequential(copy.deepcopy(model), nn.Sigmoid())
    records = (x[:80], labels[:80]), (x[80:], labels[80:])
    result = audit_finished(model, *records, shipped={"sigmoid": shipped}, quantizers=(), draws=20)
    full, other = (next(one for one in result.rows if key in one.quantizer) for key in ("none", "sigmoid"))
    for name in ("task0", "task1"):
        mine, theirs = (one.by_task[name].attacks["threshold"].advantage.value for one in (full, other))
        assert mine == pytest.approx(theirs, abs=1e-6)
        assert full.by_task[name].metrics["roc_auc"].value == other.by_task[name].metrics["roc_auc"].value


def test_predictions_on_another_scale_than_the_targets_are_told():
    x, _ = noisy()
    y = x[:, 0] + 0.1 * x[:, 1]
    model = fit(nn.Linear(6, 1), torch.tensor(x[:60]), torch.tensor(y[:60, None]), loss=F.mse_loss, steps=200).eval()
    for unit, told in ((1.0, False), (1000.0, True), (-1.0, True)):
        found = audit_finished(model, (x[:60], unit * y[:60]), (x[60:], unit * y[60:]), **QUICK)
        codes_of = [[flag.code for flag in row.flags] for row in found.rows]
        assert ("other-scale" in codes_of[0]) is told
        assert not any("other-scale" in flags for flags in codes_of[1:])  # what a quantizer does to it is its price


def test_outputs_in_another_order_than_the_labels_are_told():
    x, y = noisy()
    model = fit(nn.Linear(6, 2), torch.tensor(x[:60]), torch.tensor(y[:60]), steps=200).eval()
    for labels, told in ((y, False), (1 - y, True)):
        found = audit_finished(model, (x[:60], labels[:60]), (x[60:], labels[60:]), **QUICK)
        codes_of = [[flag.code for flag in row.flags] for row in found.rows]
        assert ("other-order" in codes_of[0]) is told
        assert not any("other-order" in flags for flags in codes_of[1:])  # what a quantizer does to it is its price


@pytest.mark.parametrize("outputs", [{"out": 1, "hidden": 2}])
def test_a_mapping_without_logits_is_named_by_its_keys(outputs, data):
    class Named(nn.Linear):
        def forward(self, x):
            return dict.fromkeys(outputs, super().forward(x))

    with pytest.raises(LeaqError, match="Found dict of out, hidden"):
        audit_finished(Named(data[0][0].shape[1], 2), *data, **QUICK)
