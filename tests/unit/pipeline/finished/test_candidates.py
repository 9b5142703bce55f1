import numpy as np
import pytest
import torch
from torch import nn

from leaq.errors import InvalidInput
from leaq.reporting.records import riskiest_records
from leaq.training.recording import Recorder
from leaq.types import Estimate
from tests.unit.pipeline.finished.cases import QUICK
from tests.unit.pipeline.finished.models import audit_finished, noisy


def test_recorded_checkpoints_make_candidates(data):
    torch.manual_seed(0)
    x, y = torch.tensor(data[0][0]), torch.tensor(data[0][1])
    module = nn.Linear(6, 2)
    optimizer = torch.optim.Adam(module.parameters(), 0.05)
    recorder = Recorder(module, every=5)
    for _ in range(32):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(x), y).backward()
        optimizer.step()
        recorder.step()
    result = audit_finished(module, *data, checkpoints=recorder.checkpoints, **QUICK)
    assert isinstance(result.rows[0].measures["r"], Estimate)
    assert result.data["recorded"] == len(recorder.checkpoints.steps)
    risk = np.array(result.private["run_risk"])
    assert risk.shape == (len(x),)
    assert ((risk > 0) & (risk < 1)).all()
    assert "run_risk" not in result.to_json()
    table = riskiest_records(result, limit=3)
    assert table.keys[0] == str(risk.argmax() + 1)
    assert table.title == "The 3 records expected to be most exposed by this run"
    assert [column.title for column in table.columns] == ["Row", "Risk", "LT-IQR", "last loss"]
    assert "An order, no level" in table.footnotes[0].text
    assert "unchanged-recording" not in [flag.code for flag in result.flags]
    other = Recorder(nn.Linear(6, 3))
    other.step()
    with pytest.raises(InvalidInput, match="must be of the model's own architecture.*weight, bias"):
        audit_finished(module, *data, checkpoints=other.checkpoints, **QUICK)


def test_adapters_alone_are_quantized_where_only_they_were_recorded(data):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 2))
    module[0].requires_grad_(False)
    recorder = Recorder(module, parameters="trainable")
    recorder.step()
    recorder.step()
    result = audit_finished(module, *data, checkpoints=recorder.checkpoints, **QUICK)
    assert result.rows[0].size.bytes == 4 * (4 * 2 + 2)
    assert "4 checkpoints. Found" in result.not_computed["run_risk"]
    assert result.private == {}


def test_weights_that_were_not_recorded_are_named():
    from leaq.training.recording import Recorder

    x, y = noisy(n=60)
    module = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    module[0].requires_grad_(False)
    recorder = Recorder(module, parameters="trainable")
    for _ in range(3):
        with torch.no_grad():
            module[2].weight.add_(0.1)
        recorder.step()
    options = {"quantizers": "sign", "draws": 20, "checkpoints": recorder.checkpoints}
    flags = audit_finished(module, (x[:30], y[:30]), (x[30:], y[30:]), **options).flags
    assert "every quantizer: 0.weight (what" in next(flag.text for flag in flags if flag.code == "recorded-part")


def test_a_recorder_that_watched_another_copy_than_was_trained_is_told(data):
    module = nn.Linear(6, 2)
    recorder = Recorder(module)
    for _ in range(4):
        recorder.step()  # a trainer works on a copy, and puts its weights back at the end
    nn.init.normal_(module.weight)
    result = audit_finished(module, *data, checkpoints=recorder.checkpoints, **QUICK)
    assert "unchanged-recording" in [flag.code for flag in result.flags]
