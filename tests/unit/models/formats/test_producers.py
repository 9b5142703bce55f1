"""What producers write is read as they themselves dequantize it, and weighs what they packed."""

import numpy as np
import pytest
import torch

from leaq.models.formats import read_file
from leaq.pipeline.finished.shipped import open_shipped, weigh
from tests.unit.models.formats import producers
from tests.unit.models.formats.producers import bitsandbytes, compressed, gguf_file, llama, net, torchao

COMPRESSED = {
    "W4A16 groups": {"bits": 4}, "W4A16 asymmetric": {"bits": 4, "symmetric": False},
    "W4A16 channel": {"bits": 4, "strategy": "channel"}, "3 bits": {"bits": 3}, "6 bits": {"bits": 6},
    "W8A16 groups": {"bits": 8}, "W8A8": {"bits": 8, "strategy": "channel"},
    "W8A8 asymmetric": {"bits": 8, "strategy": "channel", "symmetric": False},
    "FP8": {"bits": 8, "kind": "float", "strategy": "channel"}, "NVFP4": {"bits": 4, "kind": "float"},
}  # fmt: skip


def close(opened, expected, *, least=2, rtol=1e-5):
    found = opened.module.state_dict()
    assert opened.read
    assert len(expected) >= least
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name].float(), tensor.float(), rtol=rtol, atol=1e-7, msg=name)


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "MXFP4", "F16", "BF16"])
@pytest.mark.parametrize("make", [net, llama])
def test_gguf(tmp_path, kind, make):
    module = make()
    expected = gguf_file(tmp_path / "m.gguf", module, kind, arch="llama" if make is llama else None)
    opened = open_shipped(tmp_path / "m.gguf", module, name="m")
    close(opened, expected)
    bits = {"Q4_0": 4.5, "Q4_1": 5, "Q5_0": 5.5, "Q5_1": 6, "Q8_0": 8.5, "MXFP4": 4.25, "F16": 16, "BF16": 16}[kind]
    many = sum(t.numel() for t in producers.matrices(module).values())
    few = sum(t.numel() for t in module.state_dict().values()) - many
    assert opened.bytes == pytest.approx((many * bits + 32 * few) / 8)
    assert weigh(opened, module).bits == pytest.approx((many * bits + 32 * few) / (many + few))


@pytest.mark.parametrize(
    "kind", ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "IQ2_XXS", "IQ3_S", "TQ2_0"]
)
def test_gguf_types_that_only_llama_cpp_writes(tmp_path, rng, kind):
    gguf = pytest.importorskip("gguf")
    own = gguf.GGMLQuantizationType[kind]
    size, width = gguf.GGML_QUANT_SIZES[own]
    packed = rng.integers(1, 59, (8, 256 // size * width), dtype=np.uint8)  # no half-precision scale is infinite
    value = torch.tensor(np.array(gguf.quants.dequantize(packed, own)))
    module = torch.nn.Linear(256, 8, bias=False)
    with torch.no_grad():
        module.weight.copy_(value)
    writer = gguf.GGUFWriter(str(tmp_path / "m.gguf"), "perceptron")
    writer.add_tensor("weight", packed, raw_dtype=own)
    for write in ("write_header_to_file", "write_kv_data_to_file", "write_tensors_to_file", "close"):
        getattr(writer, write)()
    opened = open_shipped(tmp_path / "m.gguf", module, name="m")
    assert torch.equal(opened.module.weight, value)
    assert opened.stored == {"weight": f"GGUF {kind}"}
    assert opened.bytes == packed.nbytes


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", COMPRESSED)
@pytest.mark.parametrize("make", [net, llama])
def test_compressed_tensors(tmp_path, form, make):
    module = make()
    expected = compressed(tmp_path, module, **COMPRESSED[form])
    opened = open_shipped(tmp_path, module, name="m")
    close(opened, expected, rtol=5e-3 if form == "NVFP4" else 1e-5)  # their decompressor works in bfloat16
    numbers = sum(t.numel() for t in expected.values())
    rest = sum(t.numel() for t in module.state_dict().values()) - numbers
    bits = COMPRESSED[form]["bits"]
    assert numbers * bits / 8 + 4 * rest < opened.bytes < numbers * (bits + 3) / 8 + 4 * rest + 600


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["nf4", "nf4-nested", "fp4", "int8"])
@pytest.mark.parametrize("make", [net, llama])
def test_bitsandbytes(tmp_path, kind, make):
    module = make()
    expected = bitsandbytes(tmp_path / "m.safetensors", module, kind)
    close(open_shipped(tmp_path / "m.safetensors", module, name="m"), expected)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("config", "options"),
    [("Int8WeightOnlyConfig", {"version": 2}), ("Float8WeightOnlyConfig", {})],
)
@pytest.mark.parametrize("make", [net, llama])
def test_torchao(tmp_path, config, options, make):
    module = make()
    expected = torchao(tmp_path / "m.safetensors", module, config, **options)
    close(open_shipped(tmp_path / "m.safetensors", module, name="m"), expected)


ONNX = [
    "dynamic", "dynamic channel", "dynamic unsigned", "static", "static channel", "static operator",
    "static operator channel", "static pairs", "static int4", "nbits",
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ONNX)
def test_onnx_is_run_and_read(tmp_path, kind):
    module, x = net(), torch.randn(40, 128, generator=torch.Generator().manual_seed(1))
    producers.onnxruntime_file(tmp_path / "m.onnx", module, kind, x)
    import onnxruntime

    opened = open_shipped(tmp_path / "m.onnx", module, name="m")
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(opened.module(x).numpy(), session.run(None, {"x": x.numpy()})[0], rtol=1e-6)
    assert opened.read, opened.flags
    bits = 4 if kind in ("static int4", "nbits") else 8
    for name, tensor in producers.matrices(module).items():
        step = tensor.abs().max() / (2 ** (bits - 1) - 1)
        largest = (opened.module.state_dict()[name] - tensor).abs().max()
        assert 0 < largest <= 1.01 * step, name
    codes = [flag.code for flag in opened.flags]
    assert ("integer-activations" in codes) == (kind != "nbits")
    numbers = sum(t.numel() for t in producers.matrices(module).values())
    if kind != "static pairs":
        assert numbers * bits / 8 < opened.bytes < numbers * (bits + 2.5) / 8 + 4 * 160


@pytest.mark.filterwarnings("ignore")
def test_an_onnx_convolution_is_read_by_its_axes(tmp_path):
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(4, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(4, 4, 3)).eval()
    x = torch.randn(8, 4, 6, 6)
    for kind in ("dynamic", "static channel", "static operator"):
        producers.onnxruntime_file(tmp_path / "m.onnx", module, kind, x)
        opened = open_shipped(tmp_path / "m.onnx", module, name="m")
        assert opened.read, kind
        for name in ("0.weight", "2.weight"):
            tensor = module.state_dict()[name]
            assert (opened.module.state_dict()[name] - tensor).abs().max() <= tensor.abs().max() / 127 * 1.01


def test_a_file_is_read_weight_by_weight(tmp_path):
    module = net()
    gguf_file(tmp_path / "m.gguf", module, "Q8_0")
    reading = read_file(tmp_path / "m.gguf", module)
    assert set(reading.weights) == set(module.state_dict())
    assert reading.weights["0.weight"]().form == "GGUF Q8_0"
    assert "architecture 'perceptron'" in reading.kind
