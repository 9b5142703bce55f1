"""LiteRT files: one dense layer in integers by the package's own schema, and what AI Edge Quantizer writes."""

import numpy as np
import pytest
import torch
from torch import nn

from leaq.errors import StoreError
from leaq.models import checkpoints_of
from leaq.models.boxes import open_box
from leaq.models.formats.litert import LiteRtGraph
from leaq.pipeline.finished.shipped import open_shipped
from leaq.quantizers import build
from leaq.quantizers.files.recognised import recipe_of
from tests.helpers import require
from tests.unit.models.formats import apart, producers
from tests.unit.models.formats.cases import written

pytestmark = pytest.mark.filterwarnings("ignore")  # of the packages that read these files


def quantization(schema, scale, zero=0):
    made = schema.QuantizationParametersT()
    made.scale, made.zeroPoint = [float(scale)], [int(zero)]
    return made


def dense(path, layer, inputs, *, batch):
    """Write a fully connected layer of int8 weights, inputs and outputs; returns what it computes, by hand."""
    require("ai_edge_litert")
    import ai_edge_litert.schema_py_generated as schema
    import flatbuffers

    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    exact = inputs @ weight.T + bias
    s_in, s_w, s_out = (abs(t).max() / 127 for t in (inputs, weight, exact))
    w, b = np.rint(weight / s_w).astype(np.int8), np.rint(bias / (s_in * s_w)).astype(np.int32)
    tensors, buffers = [], [schema.BufferT()]
    for name, shape, kind, scale, data in (
        ("x", [batch, weight.shape[1]], schema.TensorType.INT8, s_in, None),
        ("w", list(w.shape), schema.TensorType.INT8, s_w, w),
        ("b", [len(b)], schema.TensorType.INT32, s_in * s_w, b),
        ("y", [batch, len(b)], schema.TensorType.INT8, s_out, None),
    ):
        tensor, buffer = schema.TensorT(), schema.BufferT()
        tensor.name, tensor.shape, tensor.type = name.encode(), shape, kind
        tensor.quantization, tensor.buffer = quantization(schema, scale), 0
        if data is not None:
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            buffers.append(buffer)
            tensor.buffer = len(buffers) - 1
        tensors.append(tensor)
    operator, code, graph, model = schema.OperatorT(), schema.OperatorCodeT(), schema.SubGraphT(), schema.ModelT()
    operator.inputs, operator.outputs = [0, 1, 2], [3]
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = schema.FullyConnectedOptionsT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 4
    graph.tensors, graph.inputs, graph.outputs, graph.operators = tensors, [0], [3], [operator]
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], buffers
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    codes = np.rint(inputs / s_in).astype(np.int32) @ w.T.astype(np.int32) + b
    return np.clip(np.rint(codes * (s_in * s_w / s_out)), -128, 127) * s_out, s_out


@pytest.mark.parametrize("batch", [1, 4])
def test_integers_go_in_and_come_out_as_the_file_scales_them(tmp_path, batch):
    torch.manual_seed(0)
    layer = nn.Linear(16, 3)
    x = torch.randn(10, 16)
    wanted, step = dense(tmp_path / "m.tflite", layer, x.numpy(), batch=batch)
    opened = open_shipped(tmp_path / "m.tflite", layer, name="m")
    np.testing.assert_allclose(opened.module(x).numpy(), wanted, atol=1.01 * step)
    torch.testing.assert_close(opened.module(x), layer(x).detach(), rtol=0, atol=4 * step)
    assert opened.bytes == (tmp_path / "m.tflite").stat().st_size
    assert [flag.code for flag in opened.flags] == ["integer-activations"]
    assert opened.stored == {"weight": "LiteRT int8"}
    assert (opened.module.get_parameter("weight") - layer.weight).abs().max() <= 0.51 * layer.weight.abs().max() / 127


def test_other_files_are_refused(tmp_path):
    require("ai_edge_litert")
    (tmp_path / "bad.tflite").write_bytes(b"no model at all")
    with pytest.raises(StoreError, match="bad.tflite: its runtime cannot open it"):
        open_box(tmp_path / "bad.tflite")
    with pytest.raises(StoreError, match="There is no file 'none.tflite'"):
        open_box(tmp_path / "none.tflite")


by_ai_edge = written("by_ai_edge", "ai_edge_quantizer", "ai_edge_litert")
LITERT = dict(zip(apart.RECIPES, ((8, 0.05), (8, 0.05), (4, 0.3), (8, 0.2)), strict=True))  # bits, most error


@pytest.mark.parametrize("recipe", LITERT)
def test_what_ai_edge_quantizer_writes_runs(by_ai_edge, recipe):
    bits, error = LITERT[recipe]
    module, file, inputs = producers.net(), by_ai_edge / f"{recipe}.tflite", apart.calibration()[:10]
    opened = open_shipped(file, module, name="m")
    wanted = module(inputs).detach()
    assert 0 < (opened.module(inputs) - wanted).abs().mean() < error * wanted.std()  # static ranges cut some short
    assert opened.bytes == file.stat().st_size
    matrices = producers.matrices(module)
    numbers = sum(tensor.numel() for tensor in matrices.values())
    assert numbers * bits / 8 < opened.bytes < numbers * bits / 8 + 8192
    rounds = not recipe.startswith("weight_only")
    assert opened.stored == dict.fromkeys(matrices, f"LiteRT int{bits}")
    assert [flag.code for flag in opened.flags] == ["integer-activations"] * rounds
    told = recipe_of(opened.module, module, opened.stored).with_activations(opened.activations)
    static = "ranges=moving, zero_point=free, outputs=all" if recipe.startswith("static") else "zero_point=free"
    assert (told.spec, told.share) == (f"uniform(bits={bits}{f', activations=8, {static}' * rounds})", 1)
    given = build(f"uniform(bits={bits})")(checkpoints_of(module)).params
    for name in matrices:
        assert torch.equal(given[name][0], opened.module.get_parameter(name))
    for name, bias in module.named_parameters():
        torch.testing.assert_close(opened.module.get_parameter(name), bias, rtol=0, atol=1e-4 if bias.ndim < 2 else 0.1)


def test_weights_are_those_that_litert_dequantizes(by_ai_edge):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    file = by_ai_edge / "weight_only_wi8_afp32.tflite"
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES  # others multiply with the codes
    running = Interpreter(
        model_path=str(file), experimental_preserve_all_tensors=True, experimental_op_resolver_type=plain
    )
    running.allocate_tensors()
    running.set_tensor(running.get_input_details()[0]["index"], np.zeros((1, 128), np.float32))
    running.invoke()
    weights = [one for one in LiteRtGraph(file).weights() if one.form]
    assert len(weights) == 3
    for i, weight in enumerate(weights):
        place = next(one["index"] for one in running.get_tensor_details() if one["name"] == f"w{i}_dequant")
        np.testing.assert_array_equal(weight.value.numpy(), running.get_tensor(place))
