"""Makes files by packages that change more of the process they are imported into than a test may: run as a script.

AutoRound sets how torch prints numbers, nncf which class loggers are of; both log and print. So the tests ask for

    python -m tests.unit.models.formats.apart auto_round|nncf|ai_edge_quantizer FOLDER

in a process of its own and read what lies in the folder afterwards.
"""

import copy
import os
import subprocess
import sys
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
    "uint2": {"mode": "INT2_SYM", "group_size": 32, "all_layers": True},
}
"""How NNCF compresses weights, by the name of the file; that with activations is ``int8``."""
EDGES = {"edges uint8": {}, "edges int4": {"mode": "INT4_SYM", "group_size": 32}}
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


def nncf(folder: Path) -> None:
    """Write networks as OpenVINO files of each kind, and what OpenVINO makes of the inputs of the perceptron."""
    import nncf
    import openvino

    def compressed(model: Any, options: dict[str, Any]) -> Any:
        mode = {"mode": getattr(nncf.CompressWeightsMode, options["mode"])} if options else {}
        ignored = nncf.AdvancedCompressionParameters(group_size_fallback_mode=nncf.GroupSizeFallbackMode.IGNORE)
        more = {"advanced_parameters": ignored} if "group_size" in options else {}
        return nncf.compress_weights(model, **{**options, **mode, **more})

    def converted(module: nn.Module, inputs: torch.Tensor) -> Any:
        return openvino.convert_model(module, example_input=inputs, input=[-1, *inputs.shape[1:]])

    inputs = calibration()
    for kind in ("int8", *COMPRESSED):
        model = converted(producers.net(), inputs)
        if kind == "int8":  # activations too
            model = nncf.quantize(model, nncf.Dataset([inputs.numpy()]))
        else:
            model = compressed(model, COMPRESSED[kind])
        openvino.save_model(model, folder / f"{kind}.xml")
        own = openvino.Core().compile_model(str(folder / f"{kind}.xml"), "CPU")(inputs.numpy())[0]
        np.save(folder / f"{kind}.npy", own)
    for kind, options in EDGES.items():
        model = converted(edges(), torch.zeros(4, 8, dtype=torch.int64))
        openvino.save_model(compressed(model, options), folder / f"{kind}.xml")


def ai_edge_quantizer(folder: Path) -> None:
    """Write ``float.tflite``, which lies there with ``inputs.npy``, by four recipes."""
    from ai_edge_quantizer import quantizer
    from ai_edge_quantizer import recipe as recipes

    records = [{"x": row[None]} for row in np.load(folder / "inputs.npy")]
    for recipe in RECIPES:
        maker = quantizer.Quantizer(str(folder / "float.tflite"))
        maker.load_quantization_recipe(getattr(recipes, recipe)())
        ranges = maker.calibrate({"serving_default": records}) if maker.need_calibration else None
        maker.quantize(ranges).export_model(str(folder / f"{recipe}.tflite"))


if __name__ == "__main__":
    {"auto_round": auto_round, "nncf": nncf, "ai_edge_quantizer": ai_edge_quantizer}[sys.argv[1]](Path(sys.argv[2]))
