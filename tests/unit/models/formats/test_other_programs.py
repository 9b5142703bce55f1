"""Programs that NNCF and AI Edge Quantizer write: run as their runtimes run them."""

import numpy as np
import pytest
import torch
from torch import nn

from leaq.pipeline.finished.shipped import open_shipped
from tests.helpers import require
from tests.unit.models.formats import apart, producers
from tests.unit.models.formats.cases import written

pytestmark = pytest.mark.filterwarnings("ignore")  # of the packages that read these files


# -- NNCF and OpenVINO --------

by_nncf = written("by_nncf", "nncf", "openvino")


@pytest.mark.parametrize("kind", apart.KINDS)
def test_nncf_files_run_as_openvino_runs_them(by_nncf, kind):
    bits, error = {"int8": (8, 0.1), "int4": (4, 0.5)}[kind]
    module, inputs = producers.net(), apart.calibration()
    opened = open_shipped(by_nncf / f"{kind}.xml", module, name="m")
    np.testing.assert_allclose(opened.module(inputs).numpy(), np.load(by_nncf / f"{kind}.npy"), rtol=1e-4, atol=1e-5)
    wanted = module(inputs).detach()
    assert 0 < (opened.module(inputs) - wanted).abs().max() < error * wanted.std()
    assert [flag.code for flag in opened.flags] == ["weights-not-seen"]
    files = [by_nncf / f"{kind}.{end}" for end in ("xml", "bin")]
    assert opened.bytes == sum(file.stat().st_size for file in files)
    numbers = sum(tensor.numel() for tensor in producers.matrices(module).values())
    assert numbers * bits / 8 <= files[1].stat().st_size < numbers * (bits + 2) / 8 + 4 * 160


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


@pytest.fixture(scope="module")
def layer():
    torch.manual_seed(0)
    return nn.Linear(128, 64)


@pytest.fixture(scope="module")
def by_ai_edge(tmp_path_factory, layer):
    require("ai_edge_litert")
    require("ai_edge_quantizer")
    folder = tmp_path_factory.mktemp("by_ai_edge")
    float_layer(folder / "float.tflite", layer)
    np.save(folder / "inputs.npy", apart.calibration()[:10].numpy())
    return apart.made("ai_edge_quantizer", folder)


LITERT = dict(zip(apart.RECIPES, ((8, 0.05), (8, 0.05), (4, 0.3), (8, 0.1)), strict=True))  # bits, most error


@pytest.mark.parametrize("recipe", LITERT)
def test_what_ai_edge_quantizer_writes_runs(by_ai_edge, layer, recipe):
    bits, error = LITERT[recipe]
    file, inputs = by_ai_edge / f"{recipe}.tflite", apart.calibration()[:10]
    opened = open_shipped(file, layer, name="m")
    wanted = layer(inputs).detach()
    assert 0 < (opened.module(inputs) - wanted).abs().mean() < error * wanted.std()  # static ranges cut some short
    assert opened.bytes == file.stat().st_size
    assert layer.weight.numel() * bits / 8 < opened.bytes < layer.weight.numel() * bits / 8 + 4096
    assert [flag.code for flag in opened.flags] == ["weights-not-seen"]
