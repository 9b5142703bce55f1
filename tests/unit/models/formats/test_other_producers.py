"""Files that AutoRound, NNCF and AI Edge Quantizer write: read as they dequantize, or run as their runtimes do."""

import contextlib
import copy
import io
import logging

import numpy as np
import pytest
import torch
from torch import nn

from leaq.auditing.shipped import open_shipped
from tests.helpers import require
from tests.unit.models.formats import producers


@contextlib.contextmanager
def quietly():
    """Keep what these packages print and log out of the tests' output, and nncf's kind of logger from the others."""
    before, kind = logging.root.manager.disable, logging.getLoggerClass()
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)
        logging.setLoggerClass(kind)


# -- AutoRound --------


@pytest.fixture(scope="module")
def tokenizer():
    require("auto_round")
    require("transformers")
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = models.WordLevel({f"w{i}": i for i in range(64)}, unk_token="w0")
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(words), unk_token="w0", pad_token="w0", eos_token="w2")


# Each quantizes and saves a two-layer Llama anew, since packing changes the model: 1.5 s of processor time.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "case",
    [
        ("auto_round", "GPTQ 4-bit"), ("auto_gptq", "GPTQ 4-bit"), ("auto_awq", "AWQ 4-bit"),
        ("llm_compressor", "compressed-tensors 4-bit"),
    ],
)  # fmt: skip
def test_auto_round_writes_four_layouts_of_the_same_weights(tmp_path, monkeypatch, tokenizer, case):
    form, stored = case
    module = producers.llama()
    monkeypatch.chdir(tmp_path)  # it keeps a folder of work in the current one
    with quietly():
        from auto_round import AutoRound

        maker = AutoRound(
            copy.deepcopy(module), tokenizer, scheme="W4A16", bits=4, group_size=32, sym=True, iters=0,
            device_map="cpu", disable_opt_rtn=True,
        )  # fmt: skip
        rounded, _ = maker.quantize()
        expected = {
            f"{name}.weight": part.weight.detach().float().clone()
            for name, part in producers.layers(rounded).items()
            if name != "lm_head"
        }
        maker.save_quantized(str(tmp_path), format=form)
    folder = next(tmp_path.rglob("*.safetensors")).parent
    opened = open_shipped(folder, module, name="m")
    assert opened.read
    assert dict.fromkeys(expected, stored) == dict(opened.stored)
    assert [flag.code for flag in opened.flags] == []
    found = opened.module.state_dict()
    for name, tensor in expected.items():  # it computes in bfloat16
        torch.testing.assert_close(found[name], tensor, rtol=2**-7, atol=1e-6, msg=name)
    many = sum(tensor.numel() for tensor in expected.values())
    rest = sum(tensor.numel() for tensor in module.state_dict().values()) - many
    assert many / 2 < opened.bytes - 2 * rest < many * 6 / 8


# -- NNCF and OpenVINO --------


@pytest.fixture(scope="module")
def ir():
    """Return an OpenVINO model of the perceptron, made anew."""
    require("openvino")
    require("nncf")
    inputs = torch.randn(40, 128, generator=torch.Generator().manual_seed(1))

    def make():
        with quietly():
            import openvino

            return openvino.convert_model(producers.net(), example_input=inputs, input=[-1, 128])

    return make, inputs


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_nncf_files_run_as_openvino_runs_them(tmp_path, ir, kind):
    bits, error = {"int8": (8, 0.1), "int4": (4, 0.5)}[kind]
    make, inputs = ir
    with quietly():
        import nncf
        import openvino

        model = make()
        if kind == "int8":  # activations too
            model = nncf.quantize(model, nncf.Dataset([inputs.numpy()]))
        else:
            mode = nncf.CompressWeightsMode.INT4_SYM
            model = nncf.compress_weights(model, mode=mode, group_size=32, all_layers=True)
        openvino.save_model(model, tmp_path / "m.xml")
        own = openvino.Core().compile_model(str(tmp_path / "m.xml"), "CPU")(inputs.numpy())[0]
    module = producers.net()
    opened = open_shipped(tmp_path / "m.xml", module, name="m")
    np.testing.assert_allclose(opened.module(inputs).numpy(), own, rtol=1e-4, atol=1e-5)
    wanted = module(inputs).detach()
    assert 0 < (opened.module(inputs) - wanted).abs().max() < error * wanted.std()
    assert [flag.code for flag in opened.flags] == ["weights-not-seen"]
    assert opened.bytes == sum((tmp_path / f"m.{end}").stat().st_size for end in ("xml", "bin"))
    numbers = sum(tensor.numel() for tensor in producers.matrices(module).values())
    assert numbers * bits / 8 <= (tmp_path / "m.bin").stat().st_size < numbers * (bits + 2) / 8 + 4 * 160


# -- LiteRT --------


def float_layer(path, layer):
    """Write a fully connected layer of 32-bit numbers, the form that its own quantizer starts from."""
    import ai_edge_litert.schema_py_generated as schema
    import flatbuffers

    model, graph, operator, code, signature = (
        schema.ModelT(), schema.SubGraphT(), schema.OperatorT(), schema.OperatorCodeT(), schema.SignatureDefT(),
    )  # fmt: skip
    graph.tensors, model.buffers = [], [schema.BufferT()]
    for name, shape, data in (
        ("x", [1, layer.in_features], None), ("w", list(layer.weight.shape), layer.weight),
        ("b", [layer.out_features], layer.bias), ("y", [1, layer.out_features], None),
    ):  # fmt: skip
        tensor, buffer = schema.TensorT(), schema.BufferT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name.encode(), shape, schema.TensorType.FLOAT32, 0
        if data is not None:
            buffer.data = np.frombuffer(data.detach().numpy().tobytes(), np.uint8)
            model.buffers.append(buffer)
            tensor.buffer = len(model.buffers) - 1
        graph.tensors.append(tensor)
    operator.inputs, operator.outputs = [0, 1, 2], [3]
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = schema.FullyConnectedOptionsT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 1
    graph.inputs, graph.outputs, graph.operators = [0], [3], [operator]
    places = {}
    for name, index in ((b"x", 0), (b"y", 3)):
        places[name] = schema.TensorMapT()
        places[name].name, places[name].tensorIndex = name, index
    signature.signatureKey, signature.inputs, signature.outputs = b"serving_default", [places[b"x"]], [places[b"y"]]
    signature.subgraphIndex = 0
    model.version, model.operatorCodes, model.subgraphs, model.signatureDefs = 3, [code], [graph], [signature]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("recipe", "bits", "error"),
    [("dynamic_wi8_afp32", 8, 0.1), ("weight_only_wi8_afp32", 8, 0.1), ("dynamic_wi4_afp32", 4, 0.6),
     ("static_wi8_ai8", 8, 1.0)],
)  # fmt: skip
def test_what_ai_edge_quantizer_writes_runs(tmp_path, recipe, bits, error):
    require("ai_edge_litert")
    require("ai_edge_quantizer")
    torch.manual_seed(0)
    layer, inputs = nn.Linear(128, 64), torch.randn(10, 128)
    float_layer(tmp_path / "f.tflite", layer)
    with quietly():
        from ai_edge_quantizer import quantizer
        from ai_edge_quantizer import recipe as recipes

        maker = quantizer.Quantizer(str(tmp_path / "f.tflite"))
        maker.load_quantization_recipe(getattr(recipes, recipe)())
        records = [{"x": inputs[i : i + 1].numpy()} for i in range(len(inputs))]
        ranges = maker.calibrate({"serving_default": records}) if maker.need_calibration else None
        maker.quantize(ranges).export_model(str(tmp_path / "m.tflite"))
    opened = open_shipped(tmp_path / "m.tflite", layer, name="m")
    wanted = layer(inputs).detach()
    assert 0 < (opened.module(inputs) - wanted).abs().max() < error * wanted.std()
    assert opened.bytes == (tmp_path / "m.tflite").stat().st_size
    assert layer.weight.numel() * bits / 8 < opened.bytes < layer.weight.numel() * bits / 8 + 4096
    assert [flag.code for flag in opened.flags] == ["weights-not-seen"]
