"""The public verbs: what is audited decides who does it."""

import numpy as np
import pytest
import torch
from torch import nn

import leaq
from leaq.cell import AuditConfig
from leaq.errors import InvalidInput
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
    with pytest.raises(InvalidInput, match=r"needs members=... \(records that trained it\) and nonmembers="):
        leaq.audit(nn.Linear(4, 2), members=records["members"])
    with pytest.raises(InvalidInput, match="belong to a finished model. Found a data set"):
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
    assert leaq.mis(table).r.value >= 0


def test_scales_are_those_of_the_released_checkpoint():
    weights = torch.tensor([[[[2.0, -2.0]], [[0.5, -0.5]]]])  # (1, 2, 1, 2)
    checkpoints = leaq.Checkpoints({"w": weights}, {"w": "linear"}, (1, 2))
    assert leaq.quantize(checkpoints, "sign").params["w"][0, 0].tolist() == [[0.5, -0.5]]
    assert leaq.quantize(checkpoints.last(), leaq.Sign()).params["w"].shape == (1, 1, 2)
