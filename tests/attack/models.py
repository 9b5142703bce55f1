"""Odd quantized files and graphs: each trial reads one."""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from leaq.models.formats.onnx import Graph, load_onnx
from leaq.models.formats.placing import place
from leaq.models.roles import tensors_of
from leaq.pipeline.finished.shipped import open_shipped
from tests.attack.inputs import Rng, mangled
from tests.unit.models.formats.layouts.test_words import pack_awq, pack_by_hand

TYPES = (torch.int8, torch.int32, torch.int64, torch.float16, torch.float64, torch.uint8, torch.bool, torch.complex64)


@cache
def network() -> nn.Module:
    """Return the original of all files."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 8))


@cache
def layouts() -> tuple[dict[str, torch.Tensor], ...]:
    """Return its first weight as several producers keep it."""
    weight = network()[0].weight.detach()
    scale = weight.abs().amax(1, keepdim=True) / 127
    codes = (weight / scale).round().to(torch.int8)
    packed, _ = pack_by_hand(weight, 4, 16)
    awq, _ = pack_awq(weight, 16)
    stored = ({f"0.{name}": part for name, part in parts.items()} for parts in (packed, awq))
    return (*stored, {"0.weight": codes, "0.weight_scale": scale}, {"0.weight": codes, "0.SCB": scale.flatten() * 127})


def odd(rng: Rng, tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensor in another type or shape, or with other numbers."""
    way = int(rng.integers(6))
    if way == 0:
        return tensor.to(TYPES[int(rng.integers(len(TYPES)))])
    if way == 1:
        return tensor[: int(rng.integers(len(tensor) + 1))]
    if way == 2:
        return tensor.T if tensor.ndim == 2 else tensor[None]
    if way == 3:
        return -tensor
    if way == 4 and tensor.is_floating_point():
        return tensor * float(rng.choice([np.nan, np.inf, 0.0, 1e30]))
    return tensor.flatten()


def layers(rng: Rng, folder: Path) -> None:
    """Quantized layers with parts missing, of other types, shapes and numbers, under odd settings."""
    parts = dict(layouts()[int(rng.integers(len(layouts())))])
    for name in rng.permutation(list(parts))[: int(rng.integers(1, 3))]:
        if rng.random() < 0.2:
            del parts[name]
        else:
            with np.errstate(all="ignore"):
                parts[name] = odd(rng, parts[name])
    rest = {name: t.detach() for name, t, _ in tensors_of(network()) if name != "0.weight"}
    save_file({name: t.contiguous() for name, t in {**rest, **parts}.items()}, folder / "m.safetensors")
    settings = ("", "[]", "{", '{"bits": 9}', '{"bits": 4, "group_size": 7}', '{"bits": "x", "desc_act": true}', "null")
    if text := settings[int(rng.integers(len(settings)))]:
        (folder / "quantize_config.json").write_text(text)
    found = open_shipped(folder / "m.safetensors", network(), name="m")
    assert all(bool(torch.isfinite(t).all()) for t in found.module.state_dict().values())


def gguf_files(rng: Rng, folder: Path) -> None:
    """Damaged GGUF files."""
    import gguf

    path = folder / "m.gguf"
    writer = gguf.GGUFWriter(str(path), "mlp")
    writer.add_array("tokens", ["a", "bc", ""])
    writer.add_array("scores", [1.0, 2.0])
    for name, tensor, _ in tensors_of(network()):
        values = tensor.detach().numpy()
        kind = gguf.GGMLQuantizationType.Q8_0 if values.ndim == 2 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    path.write_bytes(mangled(rng, path.read_bytes()))
    found = open_shipped(path, network(), name="m")
    assert all(bool(torch.isfinite(t).all()) for t in found.module.state_dict().values())


@cache
def onnx_bytes() -> bytes:
    """Return the network as a graph."""
    from onnx import TensorProto, helper, numpy_helper

    held = {name: tensor.detach().numpy() for name, tensor, _ in tensors_of(network())}
    nodes = [
        helper.make_node("Gemm", ["x", "0.weight", "0.bias"], ["h"], transB=1),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "2.weight", "2.bias"], ["y"], transB=1),
    ]
    ends = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", k]) for name, k in (("x", 32), ("y", 8)))
    stored = [numpy_helper.from_array(values, name) for name, values in held.items()]
    entry, leaving = ends
    content: bytes = helper.make_model(helper.make_graph(nodes, "g", [entry], [leaving], stored)).SerializeToString()
    return content


def onnx_files(rng: Rng, folder: Path) -> None:
    """Damaged ONNX files, read and followed (running them is the runtime's)."""
    (folder / "m.onnx").write_bytes(mangled(rng, onnx_bytes()))
    place(Graph(load_onnx(folder / "m.onnx")).weights(), network(), subject="m")
