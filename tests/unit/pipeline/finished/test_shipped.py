"""Models quantized elsewhere, audited as they run, against their original."""

import copy
import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from leaq.errors import InvalidInput, UnsupportedModel
from leaq.pipeline.finished.shipped import open_shipped, stored_bytes
from tests.helpers import require
from tests.unit.pipeline.finished.models import audit_finished, halves, overfitted

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
    from tests.unit.models.formats.layouts.test_words import pack_by_hand

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


def rows_of(model, data, **shipped):
    return {row.label: row for row in audit_finished(model, *data, shipped=shipped, **QUICK).rows}


def test_a_module_with_the_weights_of_the_original_says_so(model, data):
    assert [flag.code for flag in rows_of(model, data, x=copy.deepcopy(model))["x"].flags] == [
        "not-quantized",
        "no-skill",
    ]


@pytest.mark.filterwarnings("ignore")
def test_a_graph_quantized_by_pt2e_is_run_and_weighed_by_its_codes(model, data, tmp_path):
    from tests.unit.models.formats.producers import program, pt2e

    inputs = torch.tensor(data[0][0])
    converted = pt2e(model, inputs)
    torch.export.save(program(converted, inputs), tmp_path / "m.pt2")
    rows = rows_of(model, data, module=converted, program=program(converted, inputs), file=tmp_path / "m.pt2")
    with torch.no_grad():
        wanted = nn.functional.cross_entropy(converted(torch.tensor(data[1][0])), torch.tensor(data[1][1]))
    for row in list(rows.values())[1:]:
        assert row.metrics["loss"].value == pytest.approx(float(wanted), rel=1e-4)
        flags = {flag.code: flag.text for flag in row.flags}
        assert "weights-not-seen" not in flags
        assert "torchao.int8_weight_only" in flags["recipe"]
        assert "Activations are rounded to 8 bits" in flags["recipe"]
        assert 0 < row.measures["distortion"].value < 0.2
    assert 8 < rows["module"].size.bits < 12
    with pytest.raises(UnsupportedModel, match="is a buffer of int8 .* already quantized"):
        audit_finished(converted, *data, **QUICK)


@pytest.mark.filterwarnings("ignore")
def test_a_file_that_runs_is_a_model_and_others_say_what_they_lack(model, data, tmp_path):
    import leaq

    torch.jit.script(model).save(str(tmp_path / "m.ts"))
    result = leaq.audit(tmp_path / "m.ts", members=data[0], nonmembers=data[1], **QUICK)
    assert result.rows[0].metrics["loss"].value > 0
    save_file(model.state_dict(), tmp_path / "m.safetensors")
    for name, text in (
        ("m.safetensors", "Weights alone do not say how they are used"),
        ("wine", "Found the source 'wine'"),
    ):
        with pytest.raises(InvalidInput, match=text):
            leaq.audit(str(tmp_path / name) if "." in name else name, members=data[0], nonmembers=data[1])
    (tmp_path / "bad.pt2").write_bytes(b"PK\x03\x04")
    with pytest.raises(leaq.LeaqError, match="bad.pt2: this is no exported program"):
        rows_of(model, data, x=tmp_path / "bad.pt2")


def test_a_module_of_another_model_is_told(model, data):
    other = copy.deepcopy(model)
    torch.manual_seed(5)
    for layer in (other[0], other[2]):
        layer.reset_parameters()
    flag = rows_of(model, data, x=other)["x"].flags[0]
    assert flag.code == "unlike-original"
    assert "0.weight agrees with the original in sign no better than by chance" in flag.text


@pytest.mark.filterwarnings("ignore")
def test_layers_that_torch_packs_are_run_and_their_recipe_told_through_folded_normalisation(data):
    from tests.unit.models.formats.producers import packed

    torch.manual_seed(0)
    net = nn.Sequential(nn.Unflatten(1, (2, 16)), nn.Conv1d(2, 6, 3), nn.BatchNorm1d(6), nn.ReLU(), nn.Flatten())
    net = net.append(nn.Linear(84, 48)).eval()
    net[2].running_var.uniform_(0.1, 4)
    shipped, _ = packed(net, "FX channels", torch.tensor(data[0][0]))
    row = rows_of(net, data, int8=shipped)["int8"]
    flags = {flag.code: flag.text for flag in row.flags}
    assert (
        "torch.ao(bits=8, per=channel, activations=8, ranges=minmax, zero_point=free, outputs=all)" in flags["recipe"]
    )
    assert "1.weight" in flags["normalisation-folded"]
    assert 8 < row.size.bits < 12
    with torch.no_grad():
        wanted = nn.functional.cross_entropy(shipped(torch.tensor(data[1][0])), torch.tensor(data[1][1]))
    assert row.metrics["loss"].value == pytest.approx(float(wanted), rel=1e-4)
    [alone] = rows_of(shipped, data).values()
    assert [flag.code for flag in alone.flags][:1] == ["weights-not-seen"]
    assert alone.size.bits == pytest.approx(row.size.bits, rel=0.1)
    assert alone.metrics["loss"].value == pytest.approx(float(wanted), rel=1e-4)
