"""Makes files by packages that change more of the process they are imported into than a test may: run as a script.

AutoRound sets how torch prints numbers, nncf which class loggers are of; both log and print. So the tests ask for

    python -m tests.unit.models.formats.apart auto_round|nncf|ai_edge_quantizer FOLDER

in a process of its own and read what lies in the folder afterwards.
"""

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from tests.unit.models.formats import producers

ROOT = Path(__file__).parents[4]
LAYOUTS = {
    "auto_round": ("auto_round", 4, True), "gptq": ("auto_gptq", 4, False), "gptq 2 bits": ("auto_gptq", 2, True),
    "awq": ("auto_awq", 4, False), "llm_compressor": ("llm_compressor", 4, True),
}  # fmt: skip
"""The form that AutoRound is asked to save, bits, and whether symmetric."""
COMPRESSED = {
    "uint8": {},
    "int8 alone": {"mode": "INT8_SYM"},
    "int4": {"mode": "INT4_SYM", "group_size": 32, "all_layers": True},
    "uint4": {"mode": "INT4_ASYM", "group_size": 32, "all_layers": True},
    "int4 channels": {"mode": "INT4_SYM", "group_size": -1, "all_layers": True},
    "uint4 ends in 8 bits": {"mode": "INT4_ASYM", "group_size": 64},
    "int4 mixed": {"mode": "INT4_SYM", "group_size": 32, "all_layers": True, "ratio": 0.5},
    "uint2": {"mode": "INT2_SYM", "group_size": 32, "all_layers": True},
    "uint3": {"mode": "INT3_SYM", "group_size": -1, "all_layers": True},
}
"""How NNCF compresses weights, by the name of the file; that with activations is ``int8``."""
FLOATS = {
    "nf4": {"mode": "NF4", "group_size": 64, "all_layers": True},
    "f4e2m1": {"mode": "FP4", "group_size": 32, "all_layers": True},
    "f8e4m3": {"mode": "FP8_E4M3", "group_size": -1, "all_layers": True},
    "mxfp4": {"mode": "MXFP4", "group_size": 32, "all_layers": True},
    "mxfp8": {"mode": "MXFP8_E4M3", "group_size": 32, "all_layers": True},
    "nvfp4": {"mode": "NVFP4", "group_size": 16, "all_layers": True},
}
"""Of short floating-point numbers, which are read and run."""
EDGES = {
    "edges uint8": {}, "edges int4": {"mode": "INT4_SYM", "group_size": 32},
    "edges nf4": {"mode": "NF4", "group_size": 32}, "edges f8e4m3": {"mode": "FP8_E4M3", "group_size": -1},
}  # fmt: skip
"""Of a network of other layers and unlikely rows."""
RECIPES = ("dynamic_wi8_afp32", "weight_only_wi8_afp32", "dynamic_wi4_afp32", "static_wi8_ai8")


def made(package: str, folder: Path) -> Path:
    """Return the folder after another process has written its files there."""
    command = [sys.executable, "-W", "ignore", "-m", __name__, package, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def calibration() -> torch.Tensor:
    return torch.randn(40, 128, generator=torch.Generator().manual_seed(1))


def auto_round(folder: Path) -> None:
    """Write a two-layer Llama in several layouts, each quantized anew since packing changes the model."""
    from auto_round import AutoRound
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = models.WordLevel({f"w{i}": i for i in range(64)}, unk_token="w0")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(words), unk_token="w0", pad_token="w0", eos_token="w2"
    )
    for layout, (form, bits, symmetric) in LAYOUTS.items():
        maker = AutoRound(
            copy.deepcopy(producers.llama()), tokenizer, scheme="W4A16", bits=bits, group_size=32, sym=symmetric,
            iters=0, device_map="cpu", disable_opt_rtn=True,
        )  # fmt: skip
        rounded, _ = maker.quantize()
        expected = {
            f"{name}.weight": part.weight.detach().float().clone()
            for name, part in producers.layers(rounded).items()
            if name != "lm_head"
        }
        maker.save_quantized(str(folder / layout), format=form)
        save_file(expected, folder / f"{layout}.expected")


def edges() -> nn.Module:
    """Return an embedding, a convolution, an odd width, and rows of zeros, one sign, one number, ties, other sizes."""
    torch.manual_seed(3)
    module = nn.Sequential(
        nn.Embedding(50, 64), nn.Conv1d(8, 9, 3), nn.Flatten(), nn.Linear(9 * 62, 96), nn.ReLU(), nn.Linear(96, 96),
        nn.ReLU(), nn.Linear(96, 5),
    ).eval()  # fmt: skip
    with torch.no_grad():
        rows = module[5].weight
        rows[0] = 0
        rows[1], rows[2] = -rows[1].abs(), rows[2].abs()
        rows[3], rows[4] = 0.3, -0.3
        rows[5] = (rows[5] * 40).round() / 40
        rows[6], rows[7], rows[8] = 1e-6 * rows[6], 1e4 * rows[7], 1e-9 * rows[8]
    return module


def calibrated() -> nn.Module:
    """Return convolutions and layers with rows of zeros, of one sign, far smaller than others, and on ties."""
    torch.manual_seed(4)
    module = nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Conv2d(6, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(80, 16), nn.ReLU(),
        nn.Linear(16, 4),
    ).eval()  # fmt: skip
    with torch.no_grad():
        rows = module[5].weight
        rows[0] = 0
        rows[1], rows[2] = -rows[1].abs(), rows[2].abs()
        rows[3], rows[4] = 1e-6 * rows[3], 0.02 * rows[4]
        for row in rows[5:]:
            row[:] = (row / row.abs().max() * 127).floor().add(0.5).clamp(-127, 127) * (row.abs().max() / 127)
    return module


NETS = {
    "int8 convolutions": (calibrated, (40, 2, 8, 8), {}),
    "int8 half": (calibrated, (40, 2, 8, 8), {"overflow_fix": "enable"}),
    "int8 per tensor": (calibrated, (40, 2, 8, 8), {"overflow_fix": "disable", "per_channel": False}),
    "int8 zero points": (calibrated, (40, 2, 8, 8), {"mode": "asymmetric", "overflow_fix": "disable"}),
    "int8 smoothed": (producers.net, (200, 128), {"smoothed": True}),
}
"""What NNCF quantizes with activations by other options: the network, the shape of its inputs, and the options."""


def quantized_nets(folder: Path) -> None:
    """Write networks that NNCF quantized with activations by other options than its presets."""
    import nncf
    import openvino
    from nncf.common.quantization.structs import QuantizationScheme
    from nncf.quantization import advanced_parameters as advanced

    for kind, (make, shape, options) in NETS.items():
        inputs = torch.randn(shape, generator=torch.Generator().manual_seed(1))
        model = openvino.convert_model(make(), example_input=inputs, input=[-1, *shape[1:]])
        mode = QuantizationScheme(options["mode"]) if "mode" in options else None
        weights = advanced.QuantizationParameters(per_channel=options.get("per_channel"), mode=mode)
        fix = advanced.OverflowFix(options["overflow_fix"]) if "overflow_fix" in options else None
        more = advanced.AdvancedQuantizationParameters(overflow_fix=fix, weights_quantization_params=weights)
        kinds = {"model_type": nncf.ModelType.TRANSFORMER} if "smoothed" in options else {}
        model = nncf.quantize(model, nncf.Dataset([inputs.numpy()]), advanced_parameters=more, **kinds)
        openvino.save_model(model, folder / f"{kind}.xml")


def openvino(path: Path, module: nn.Module, inputs: torch.Tensor, *, kind: str) -> None:
    """Write a module as an OpenVINO file that NNCF quantized: with activations (``int8``), or weights alone."""
    import nncf
    import openvino

    model = openvino.convert_model(module, example_input=inputs, input=[-1, *inputs.shape[1:]])
    options: dict[str, Any] = dict({**COMPRESSED, **FLOATS, **EDGES}.get(kind, {}))
    if kind == "int8":
        model = nncf.quantize(model, nncf.Dataset([inputs.numpy()]))
    else:
        if options:
            options["mode"] = getattr(nncf.CompressWeightsMode, options["mode"])
        if "group_size" in options:
            ignored = nncf.GroupSizeFallbackMode.IGNORE  # of layers that it does not divide
            options["advanced_parameters"] = nncf.AdvancedCompressionParameters(group_size_fallback_mode=ignored)
        model = nncf.compress_weights(model, **options)
    openvino.save_model(model, path)


def nncf(folder: Path) -> None:
    """Write networks as OpenVINO files of each kind, and what OpenVINO makes of the inputs of the perceptron."""
    import openvino as runtime

    inputs = calibration()
    for kind in ("int8", *COMPRESSED, *FLOATS):
        openvino(folder / f"{kind}.xml", producers.net(), inputs, kind=kind)
        own = runtime.Core().compile_model(str(folder / f"{kind}.xml"), "CPU")(inputs.numpy())[0]
        np.save(folder / f"{kind}.npy", own)
    for kind in EDGES:
        openvino(folder / f"{kind}.xml", edges(), torch.zeros(4, 8, dtype=torch.int64), kind=kind)
    quantized_nets(folder)


def nncf_ranges(folder: Path) -> None:
    """Write the perceptron with activations quantized by each preset, calibrated record by record."""
    import nncf
    import openvino

    inputs = calibration()
    for preset in nncf.QuantizationPreset.PERFORMANCE, nncf.QuantizationPreset.MIXED:
        model = openvino.convert_model(producers.net(), example_input=inputs, input=[-1, 128])
        model = nncf.quantize(model, nncf.Dataset([row[None] for row in inputs.numpy()]), preset=preset)
        openvino.save_model(model, folder / f"{preset.value}.xml")


def float_litert(path: Path, module: nn.Module) -> None:
    """Write a perceptron as a LiteRT file of 32-bit numbers, the form that AI Edge Quantizer starts from."""
    import ai_edge_litert.schema_py_generated as schema
    import flatbuffers

    layers = [part for part in module.modules() if isinstance(part, nn.Linear)]
    model, graph, code, signature = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT(), schema.SignatureDefT()
    graph.tensors, graph.operators, model.buffers = [], [], [schema.BufferT()]

    def tensor(name: str, shape: list[int], data: torch.Tensor | None = None) -> int:
        made, buffer = schema.TensorT(), schema.BufferT()
        made.name, made.shape, made.type, made.buffer = name.encode(), shape, schema.TensorType.FLOAT32, 0
        if data is not None:
            buffer.data = np.frombuffer(data.detach().numpy().tobytes(), np.uint8)
            model.buffers.append(buffer)
            made.buffer = len(model.buffers) - 1
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    last = first = tensor("x", [1, layers[0].in_features])
    for i, layer in enumerate(layers):
        weight = tensor(f"w{i}", list(layer.weight.shape), layer.weight)
        bias = tensor(f"b{i}", [len(layer.bias)], layer.bias)
        operator, options = schema.OperatorT(), schema.FullyConnectedOptionsT()
        operator.inputs, last = [last, weight, bias], tensor(f"y{i}", [1, layer.out_features])
        operator.outputs = [last]
        if layer is not layers[-1]:
            options.fusedActivationFunction = schema.ActivationFunctionType.RELU
        operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.FullyConnectedOptions, options
        graph.operators.append(operator)
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 1
    graph.inputs, graph.outputs = [first], [last]
    places = {name: schema.TensorMapT() for name in (b"x", b"y")}
    for (name, place), index in zip(places.items(), (first, last), strict=True):
        place.name, place.tensorIndex = name, index
    signature.signatureKey, signature.inputs, signature.outputs = b"serving_default", [places[b"x"]], [places[b"y"]]
    signature.subgraphIndex = 0
    model.version, model.operatorCodes, model.subgraphs, model.signatureDefs = 3, [code], [graph], [signature]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))


def litert(path: Path, module: nn.Module, inputs: torch.Tensor, *, recipe: str) -> None:
    """Write a perceptron as a LiteRT file by a recipe of AI Edge Quantizer."""
    from ai_edge_quantizer import quantizer
    from ai_edge_quantizer import recipe as recipes

    plain = path.with_name(f"plain-{path.name}")
    float_litert(plain, module)
    maker = quantizer.Quantizer(str(plain))
    maker.load_quantization_recipe(getattr(recipes, recipe)())
    records = {"serving_default": [{"x": row[None]} for row in inputs.numpy()]}
    maker.quantize(maker.calibrate(records) if maker.need_calibration else None).export_model(str(path))


def ai_edge_quantizer(folder: Path) -> None:
    """Write the perceptron as LiteRT files by four recipes."""
    for recipe in RECIPES:
        litert(folder / f"{recipe}.tflite", producers.net(), calibration()[:10], recipe=recipe)


def pt2e(path: Path, module: nn.Module, inputs: torch.Tensor) -> None:
    """Write an exported program that PT2E quantized."""
    torch.export.save(producers.program(producers.pt2e(module, inputs), inputs), path)


PROGRAMS: dict[str, tuple[str, Callable[[Path, nn.Module, torch.Tensor], None]]] = {
    **{f"OpenVINO {kind}": (".xml", partial(openvino, kind=kind)) for kind in ("int8", *COMPRESSED)},
    **{f"LiteRT {recipe}": (".tflite", partial(litert, recipe=recipe)) for recipe in RECIPES},
    "PT2E int8": (".pt2", pt2e),
}
"""Forms of programs by name: the end of their files, and what writes one, in a process of its own."""

if __name__ == "__main__":
    made_by = {
        "auto_round": auto_round,
        "nncf": nncf,
        "nncf_ranges": nncf_ranges,
        "ai_edge_quantizer": ai_edge_quantizer,
    }
    made_by[sys.argv[1]](Path(sys.argv[2]))
