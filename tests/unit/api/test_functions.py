"""The public verbs: what is audited decides who does it."""

import numpy as np
import pytest
import torch
from torch import nn

import leaq
from leaq.errors import InvalidInput
from leaq.measures.finite_sample import finite_sample
from leaq.pipeline.cell import AuditConfig
from leaq.quantizers import Calibration
from leaq.training import TrainingConfig


@pytest.fixture
def records(rng):
    x, y = rng.normal(size=(80, 4)).astype(np.float32), rng.integers(2, size=80)
    return {"members": (x[:40], y[:40]), "nonmembers": (x[40:], y[40:])}


QUICK = {"replicates": 4, "training": TrainingConfig(hidden=(4,), epochs=2, checkpoints=3), "draws": 30}


def test_a_name_or_a_configuration_trains_models():
    by_name = leaq.audit("wine", quantizers="sign", **QUICK)
    by_config = leaq.audit(AuditConfig(source="wine", quantizers=("sign",), **QUICK))
    assert by_name.to_json(timings=False) == by_config.to_json(timings=False)
    again = leaq.audit(AuditConfig(source="wine", **QUICK), quantizers=[leaq.Sign()])
    assert again.to_json(timings=False) == by_name.to_json(timings=False)


def test_a_model_is_audited_as_it_is(records):
    result = leaq.audit(nn.Linear(4, 2), **records, quantizers=[leaq.Ternary(sparsity=0.9), "sign"], draws=30)
    assert [row.label for row in result.rows] == ["full precision", "ternary 90% sparse", "sign"]


def test_what_is_missing_or_too_much_is_said(records):
    with pytest.raises(InvalidInput, match=r"finished model \(Linear in memory\) is audited .* Missing: nonmembers"):
        leaq.audit(nn.Linear(4, 2), members=records["members"])
    with pytest.raises(InvalidInput, match="nonmembers belongs to a finished model. Found the source .wine."):
        leaq.audit("wine", **records)


def test_the_engineers_way(records):
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    x, y = (torch.tensor(part) for part in records["members"])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    recorder = leaq.Recorder(model, every=2)
    for _ in range(20):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        recorder.step()
    quantized = leaq.quantize(recorder.checkpoints, leaq.Uniform(bits=3))
    table = leaq.evaluate(model, quantized, **records)
    assert table.losses.shape == (1, 10, 80)
    released = torch.nn.functional.linear(torch.tensor(records["nonmembers"][0]), quantized.params["weight"][0, -1],
                                          quantized.params["bias"][0, -1])  # fmt: skip
    np.testing.assert_allclose(table.outputs[0, 40:], released.numpy(), rtol=1e-5, atol=1e-6)
    assert leaq.rate(table).r.value >= 0
    found, leak = leaq.mis(table), finite_sample(table)
    assert (found.value, found.low, found.high) == (1 - leak.value, 1 - leak.high, 1 - leak.low)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_scales_are_those_of_the_released_checkpoint():
    weights = torch.tensor([[[[2.0, -2.0]], [[0.5, -0.5]]]])  # (1, 2, 1, 2)
    checkpoints = leaq.Checkpoints({"w": weights}, {"w": "linear"}, (1, 2))
    assert leaq.quantize(checkpoints, "sign").params["w"][0, 0].tolist() == [[0.5, -0.5]]
    assert leaq.quantize(checkpoints.last(), leaq.Sign()).params["w"].shape == (1, 1, 2)


def test_calibrated_quantizers_take_their_records(records):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    recorder = leaq.Recorder(model, every=1)
    for _ in range(3):
        with torch.no_grad():
            model[0].weight.add_(0.1)
        recorder.step()
    given = Calibration(model, records["members"][0])
    quantized = leaq.quantize(recorder.checkpoints, "gptq(bits=2)", calibration=given)
    released = leaq.quantize(recorder.checkpoints.last(), "gptq(bits=2)", calibration=given)
    assert quantized.batch == (1, 3)
    assert all(torch.equal(quantized.last().params[name], released.params[name]) for name in released.params)
    nearest = leaq.quantize(recorder.checkpoints.last(), "uniform(bits=2)")
    assert not torch.equal(released.params["2.weight"], nearest.params["2.weight"])
    with pytest.raises(InvalidInput, match=r"Pass calibration=leaq.quantizers.Calibration\(model, inputs, members\)"):
        leaq.quantize(recorder.checkpoints, "gptq(bits=2)")


def test_whose_records_calibrated_a_model_is_said(records):
    """Members unless others are given; then the results name them, and the codes are theirs."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    others = Calibration(None, np.random.default_rng(1).normal(size=(30, 4)) ** 3, source="public records")
    quick = {"quantizers": ["gptq(bits=2)", "sign"], "draws": 30, "neighbours": 8}
    ours = leaq.audit(model, **records, **quick)
    theirs = leaq.audit(model, **records, **quick, calibration=others)
    codes = [[flag.code for flag in row.flags] for row in ours.rows]
    assert ["calibrated-on-members" in row for row in codes] == [False, True, False]
    flags = [[f for f in row.flags if f.code.startswith("calibrated")] for row in theirs.rows]
    assert [[flag.code for flag in row] for row in flags] == [[], ["calibrated-elsewhere"], []]
    assert "Calibrated on public records, not on each model's own training records" in flags[1][0].text
    assert ours.rows[1].metrics["loss"] != theirs.rows[1].metrics["loss"]
    assert ours.rows[2].metrics["loss"] == theirs.rows[2].metrics["loss"]
