"""Models quantized elsewhere, audited as they run, against their original."""

import copy
import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from leaq.auditing import audit_finished
from leaq.auditing.shipped import open_shipped, stored_bytes
from leaq.errors import InvalidInput, UnsupportedModel
from tests.helpers import require
from tests.unit.auditing.models import halves, overfitted

QUICK = {"quantizers": (), "draws": 40}


@pytest.fixture(scope="module")
def data():
    return halves(d=32)


@pytest.fixture(scope="module")
def model(data):
    return overfitted(*data[0])


def rounded(model, step=0.05):
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.copy_((parameter / step).round() * step)
    return other


def test_a_module_is_audited_as_it_runs(model, data):
    result = audit_finished(model, *data, shipped={"mine": rounded(model)}, **QUICK)
    row = result.rows[1]
    assert row.label == "mine"
    assert 0 < row.measures["distortion"].value < 0.5
    assert row.drops["loss"].n == 60
    assert "one candidate" in row.measures["r"].reason


def test_a_file_gives_the_same_numbers_as_the_module(model, data, tmp_path):
    save_file(rounded(model).state_dict(), tmp_path / "r.safetensors")
    shipped = {"module": rounded(model), "file": tmp_path / "r.safetensors"}
    _, module, file = audit_finished(model, *data, shipped=shipped, **QUICK).rows
    assert module.metrics["loss"] == file.metrics["loss"]
    assert module.size.bytes == file.size.bytes


def test_a_gptq_file_is_unpacked(model, data, tmp_path):
    from tests.unit.models.formats.test_words import pack_by_hand

    torch.manual_seed(0)
    parts, exact = pack_by_hand(model[0].weight.detach(), 4, 16)
    stored = {f"0.{name}": tensor for name, tensor in parts.items()}
    stored |= {name: tensor for name, tensor in model.state_dict().items() if name != "0.weight"}
    save_file({name: tensor.contiguous() for name, tensor in stored.items()}, tmp_path / "g.safetensors")
    (tmp_path / "quantize_config.json").write_text(json.dumps({"bits": 4, "checkpoint_format": "gptq"}))
    opened = open_shipped(tmp_path / "g.safetensors", model, name="gptq")
    torch.testing.assert_close(opened.module[0].weight, exact)
    assert audit_finished(model, *data, shipped={"g": tmp_path / "g.safetensors"}, **QUICK).rows[1].size.compression > 1


def test_torchao_runs_its_own_kernels_and_weighs_its_codes(model, data):
    require("torchao")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchao's own
        from torchao.quantization import Int8WeightOnlyConfig, quantize_

        other = copy.deepcopy(model)
        quantize_(other, Int8WeightOnlyConfig(version=2))
        row = audit_finished(model, *data, shipped={"torchao": other}, **QUICK).rows[1]
        assert 8 < row.size.bits < 14
        assert 0 < row.measures["distortion"].value < 0.01
        with pytest.raises(UnsupportedModel, match="already quantized.*shipped="):
            audit_finished(other, *data, **QUICK)


def test_bitsandbytes_runs_where_its_kernels_do(model, data):
    require("bitsandbytes")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import bitsandbytes as bnb

        other = copy.deepcopy(model)
        layer = bnb.nn.Linear4bit(32, 48, quant_type="nf4", compute_dtype=torch.float32)
        layer.load_state_dict(other[0].state_dict())
        other[0] = layer.to("cpu")
        try:
            with torch.no_grad():
                other.eval()(torch.zeros(2, 32))  # as an audit runs it: some CPUs take another kernel then
        except (RuntimeError, NotImplementedError, AssertionError) as err:
            with pytest.raises(UnsupportedModel, match="bnb: a shipped model must run on the records as they are"):
                audit_finished(model, *data, shipped={"bnb": copy.deepcopy(other)}, **QUICK)
            pytest.skip(f"bitsandbytes has no kernel here: {err}")
        row = audit_finished(model, *data, shipped={"bnb": other}, **QUICK).rows[1]
    assert 0 < row.measures["distortion"].value < 0.2
    assert row.size.bits < 12


def test_an_unquantized_copy_is_flagged_and_another_network_refused(model, data, tmp_path):
    save_file(model.state_dict(), tmp_path / "same.safetensors")
    row = audit_finished(model, *data, shipped={"same": tmp_path / "same.safetensors"}, **QUICK).rows[1]
    assert "not-quantized" in [flag.code for flag in row.flags]
    save_file(nn.Linear(32, 2).state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(InvalidInput, match="other: the weights must belong to the same architecture"):
        open_shipped(tmp_path / "other.safetensors", model, name="other")


def test_bytes_are_those_of_the_tensors():
    assert stored_bytes(torch.zeros(3, dtype=torch.int8)) == 3
    with pytest.raises(InvalidInput, match="must be a tensor. Found ndarray"):
        stored_bytes(np.zeros(3))
