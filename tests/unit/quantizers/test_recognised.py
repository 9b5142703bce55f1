"""A quantizer that made a file gives the file's weights bit for bit, so that shadow models can be quantized alike."""

import pytest
import torch

from leaq.auditing.shipped import open_shipped
from leaq.models import checkpoints_of
from leaq.quantizers import build
from leaq.quantizers.recognised import recipe_of
from tests.unit.models.formats import producers
from tests.unit.models.formats.producers import compressed, gguf_file, llama, net, torchao


def recipe(path, module):
    opened = open_shipped(path, module, name="m")
    found = recipe_of(opened.module, module, opened.forms)
    if found is not None:
        made = build(found)(checkpoints_of(module)).params
        for name, tensor in opened.module.named_parameters():
            if tensor.ndim > 1:
                assert torch.equal(made[name][0], tensor), name
    return found


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"])
@pytest.mark.parametrize("make", [net, llama])
def test_gguf(tmp_path, kind, make):
    module = make()
    gguf_file(tmp_path / "m.gguf", module, kind, arch="llama" if make is llama else None)
    assert recipe(tmp_path / "m.gguf", module) == f"gguf(type={kind})"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("options", "spec"),
    [
        ({"bits": 4}, "compressed_tensors(bits=4, group=32)"),
        ({"bits": 4, "group": 64}, "compressed_tensors(bits=4, group=64)"),
        ({"bits": 4, "symmetric": False}, "compressed_tensors(bits=4, group=32, symmetric=False)"),
        ({"bits": 4, "strategy": "channel"}, "compressed_tensors(bits=4, per=channel)"),
        ({"bits": 8, "strategy": "channel"}, "compressed_tensors(bits=8, per=channel)"),
    ],
)
@pytest.mark.parametrize("make", [net, llama])
def test_compressed_tensors(tmp_path, options, spec, make):
    module = make()
    compressed(tmp_path, module, **options)
    assert recipe(tmp_path, module) == spec


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("dynamic", "uniform(bits=8, per=tensor)"),
        ("dynamic channel", "uniform(bits=8)"),
        ("static", "uniform(bits=8, per=tensor)"),
        ("static channel", "uniform(bits=8)"),
        ("static operator", "uniform(bits=8, per=tensor)"),
    ],
)
def test_onnxruntime(tmp_path, kind, spec):
    module = net()
    producers.onnxruntime_file(tmp_path / "m.onnx", module, kind, torch.randn(20, 128))
    assert recipe(tmp_path / "m.onnx", module) == spec


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [net, llama])
def test_torchao_and_bitsandbytes(tmp_path, make):
    module = make()
    torchao(tmp_path / "t.safetensors", module, "Int8WeightOnlyConfig", version=2)
    assert recipe(tmp_path / "t.safetensors", module) == "torchao.int8_weight_only"
    producers.bitsandbytes(tmp_path / "b.safetensors", module, "nf4")
    assert recipe(tmp_path / "b.safetensors", module) == "bitsandbytes.nf4"


def test_what_no_known_quantizer_made_has_no_recipe(tmp_path):
    module = net()
    gguf_file(tmp_path / "m.gguf", module, "Q4_0")
    with torch.no_grad():
        module[0].weight[0, 0] += 0.01
    assert recipe(tmp_path / "m.gguf", module) in (None, "gguf(type=Q4_0)")
    with torch.no_grad():
        module[0].weight.add_(0.02 * torch.randn(64, 128))
    assert recipe(tmp_path / "m.gguf", module) is None
