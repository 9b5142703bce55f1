"""Every form that leaq reads, runs, weighs and makes again: who writes it, what it weighs, which quantizer it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tests.helpers import require
from tests.unit.models.formats import apart, producers

__all__ = ["FORMS", "Form"]

Written = tuple[Path | nn.Module, Mapping[str, Tensor]]
"""A file or folder, or what runs where there is no file; and the weights that its producer makes of it."""


@dataclass(frozen=True)
class Form:
    """One form.

    Attributes
    ----------
    write : makes files of a model in a folder.
    bits : that a number of a quantized weight takes, scales included.
    recipe : the quantizer that makes these weights of the original's.
    models : what it is written of.
    overhead : bits a number that the file holds beside, at most.
    """

    write: Callable[[Path, nn.Module], Written]
    bits: float
    recipe: str
    models: tuple[Callable[[], nn.Module], ...] = (producers.wide, producers.wide_llama)
    overhead: float = 0.0


def _file(write: Callable[..., Any], name: str, *given: Any, **options: Any) -> Callable[[Path, nn.Module], Written]:
    def made(folder: Path, module: nn.Module) -> Written:
        path = folder / name if name else folder
        return path, write(path, module, *given, **options)

    return made


def _gguf(kind: str) -> Callable[[Path, nn.Module], Written]:
    def made(folder: Path, module: nn.Module) -> Written:
        arch = "llama" if hasattr(module, "config") else None
        return folder / "m.gguf", producers.gguf_file(folder / "m.gguf", module, kind, arch=arch)

    return made


def _onnx(kind: str) -> Callable[[Path, nn.Module], Written]:
    def made(folder: Path, module: nn.Module) -> Written:
        path = folder / "m.onnx"
        producers.onnxruntime_file(path, module, kind, producers.records(module))
        return path, producers.onnx_weights(path, module)

    return made


def _torch_ao(kind: str) -> Callable[[Path, nn.Module], Written]:
    def made(_: Path, module: nn.Module) -> Written:
        inputs = torch.arange(12).reshape(2, 6) if hasattr(module, "config") else producers.records(module)
        written: Written = producers.packed(module, kind, inputs)
        return written

    return made


_BY_AUTO_ROUND: dict[str, Path] = {}


def _auto_round(layout: str) -> Callable[[Path, nn.Module], Written]:
    """All layouts are written at once, by another process, and kept for the others."""

    def made(folder: Path, module: nn.Module) -> Written:
        require("auto_round")
        if not _BY_AUTO_ROUND:
            shared = folder / "by_auto_round"
            shared.mkdir()
            _BY_AUTO_ROUND["folder"] = apart.made("auto_round", shared)
        shared = _BY_AUTO_ROUND["folder"]
        found = next((shared / layout).rglob("*.safetensors")).parent
        return found, load_file(shared / f"{layout}.expected")

    return made


GGUF = {
    "Q4_0": 4.5, "Q4_1": 5, "Q5_0": 5.5, "Q5_1": 6, "Q8_0": 8.5,
    "Q2_K": 2.625, "Q3_K": 3.4375, "Q4_K": 4.5, "Q5_K": 5.5, "Q6_K": 6.5625,
    "IQ4_NL": 4.5, "IQ4_XS": 4.25, "MXFP4": 4.25, "TQ1_0": 1.6875, "TQ2_0": 2.0625,
}  # fmt: skip
HALVES = {"F16": "float16", "BF16": "bfloat16"}
COMPRESSED: dict[str, tuple[dict[str, Any], float, str]] = {
    "W4A16 groups": ({}, 5, "(bits=4, group=32)"),
    "W4A16 groups asymmetric": ({"symmetric": False}, 5.125, "(bits=4, group=32, symmetric=False)"),
    "W4A16 channels": ({"strategy": "channel"}, 4, "(bits=4, per=channel)"),
    "3 bits": ({"bits": 3}, 4, "(bits=3, group=32)"),
    "W8A16 groups": ({"bits": 8}, 9, "(bits=8, group=32)"),
    "W8A8": ({"bits": 8, "strategy": "channel"}, 8, "(bits=8, per=channel)"),
    "W8A8 asymmetric": (
        {"bits": 8, "strategy": "channel", "symmetric": False}, 8, "(bits=8, per=channel, symmetric=False)",
    ),
    "FP8 channels": ({"bits": 8, "kind": "float", "strategy": "channel"}, 8, ".float(format=fp8)"),
    "FP8 tensor": ({"bits": 8, "kind": "float", "strategy": "tensor"}, 8, ".float(format=fp8, per=tensor)"),
    "FP8 blocks": ({"bits": 8, "kind": "float", "strategy": "block"}, 8, ".float(format=fp8, per=block)"),
    "NVFP4": ({"kind": "float", "group": 16}, 4.5, ".float(format=nvfp4)"),
    "MXFP4": ({"kind": "float", "group": 32}, 4.25, ".float(format=mxfp4)"),
}  # fmt: skip
BITSANDBYTES = {
    "nf4": (4.5, "bitsandbytes.nf4"), "nf4-nested": (4.13, "bitsandbytes.nf4(nested=True)"),
    "fp4": (4.5, "bitsandbytes.fp4"), "int8": (8, "bitsandbytes.int8(through=float16)"),
}  # fmt: skip
TORCHAO: dict[str, tuple[str, dict[str, Any], float, str]] = {
    "int8": ("Int8WeightOnlyConfig", {"version": 2}, 8, "torchao.int8_weight_only"),
    "float8": ("Float8WeightOnlyConfig", {}, 8, "torchao.float8_weight_only(format=e4m3)"),
    "4 bits": ("IntxWeightOnlyConfig", {"weight_dtype": torch.int4}, 8, "torchao.intx_weight_only(bits=4)"),
}
ONNX = {
    "dynamic": (8, "uniform(bits=8, per=tensor)"), "dynamic channels": (8, "uniform(bits=8)"),
    "static": (8, "uniform(bits=8, per=tensor)"), "static channels": (8, "uniform(bits=8)"),
    "static operators": (8, "uniform(bits=8, per=tensor)"),
    "static int4": (4, "onnxruntime.quantize(type=int4)"),
    "dynamic unsigned": (8, "onnxruntime.quantize(type=uint8)"),
    "dynamic unsigned channels": (8, "onnxruntime.quantize(type=uint8, per=channel)"),
    "dynamic unsigned reduced": (8, "onnxruntime.quantize(type=uint8, half=True)"),
    "dynamic reduced channels": (8, "onnxruntime.quantize(type=int8, per=channel, half=True)"),
    "static unsigned operators": (8, "onnxruntime.quantize(type=uint8)"),
    "static uint4": (4, "onnxruntime.quantize(type=uint4)"),
    "nbits": (5, "onnxruntime.nbits(bits=4)"), "nbits 8": (9, "onnxruntime.nbits(bits=8)"),
    "nbits asymmetric": (5.125, "onnxruntime.nbits(bits=4, symmetric=False)"),
}  # fmt: skip
QUANTO = {
    "qint8": (8, "uniform(bits=8)"), "qfloat8": (8, "float8(format=e4m3)"),
    "qint4": (4.5, "uniform(bits=4, per=group, group=128, symmetric=False)"),
    "qint2": (2.5, "uniform(bits=2, per=group, group=128, symmetric=False)"),
}  # fmt: skip
TORCH_AO = {
    "dynamic": "torch.ao(bits=8)", "dynamic channels": "torch.ao(bits=8, per=channel)", "static": "torch.ao(bits=8)",
    "static channels": "torch.ao(bits=8, per=channel)", "FX": "torch.ao(bits=8)",
    "FX channels": "torch.ao(bits=8, per=channel)",
}  # fmt: skip
AUTO_ROUND = {
    "auto_round": (4, "auto_round(bits=4, group=32"), "gptq": (4, "auto_round(bits=4, group=32, symmetric=False"),
    "gptq 2 bits": (2, "auto_round(bits=2, group=32"), "awq": (4, "auto_round(bits=4, group=32, symmetric=False"),
    "llm_compressor": (4, "auto_round(bits=4, group=32"),
}  # fmt: skip

FORMS: dict[str, Form] = {
    **{f"GGUF {kind}": Form(_gguf(kind), bits, f"gguf(type={kind})") for kind, bits in GGUF.items()},
    **{f"GGUF {kind}": Form(_gguf(kind), 16, spec) for kind, spec in HALVES.items()},
    **{
        f"compressed-tensors {name}": Form(
            _file(producers.compressed, "", **options), bits, f"compressed_tensors{spec}", overhead=0.3
        )
        for name, (options, bits, spec) in COMPRESSED.items()
    },
    **{
        f"bitsandbytes {kind}": Form(_file(producers.bitsandbytes, "m.safetensors", kind), bits, spec, overhead=0.3)
        for kind, (bits, spec) in BITSANDBYTES.items()
    },
    **{
        f"torchao {name}": Form(_file(producers.torchao, "m.safetensors", config, **options), bits, spec, overhead=1.5)
        for name, (config, options, bits, spec) in TORCHAO.items()
    },
    **{
        f"ONNX {kind}": Form(_onnx(kind), bits, spec, (producers.net,), overhead=1.6)
        for kind, (bits, spec) in ONNX.items()
    },
    **{
        f"optimum-quanto {kind}": Form(_file(producers.quanto, "m.safetensors", kind), bits, spec, overhead=0.6)
        for kind, (bits, spec) in QUANTO.items()
    },
    **{
        f"torch.ao {kind}": Form(
            _torch_ao(kind), 8, spec, (producers.net, *[producers.llama] * kind.startswith("dynamic")), overhead=2.5
        )
        for kind, spec in TORCH_AO.items()
    },
    **{
        f"AutoRound {layout}": Form(
            _auto_round(layout), bits + 0.5, f"{spec}, through=bfloat16)", (producers.llama,), overhead=1.5
        )
        for layout, (bits, spec) in AUTO_ROUND.items()
    },
}
