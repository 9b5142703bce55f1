"""Weights of modules whose layers torch.ao quantized: eager or FX, dynamic or static, recurrent ones and embeddings.

Such layers keep codes and scales as packed objects of torch's own, which give them back as quantized tensors. Modules
of TorchScript are read likewise, whatever they hold.
Source: torch.ao.nn.quantized, torch.ao.nn.quantized.dynamic; ATen, LinearPackedParamsBase and its kin.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from leaq.models.formats.levels import Levels
from leaq.models.formats.weight import Weight
from leaq.models.roles import tensors_of

REDUCED = 7
"""Bits that dynamic layers round what comes to: half of the codes, so that sums of two products fit into 16 bits."""


class PackedLayers:
    """The weights of a module with such layers.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     module = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(3, 2)), {nn.Linear}, torch.qint8)
    >>> [(weight.form, *weight.value.shape) for weight in PackedLayers(module).weights()]
    [('torch.ao int8 per tensor', 2, 3), ('', 2)]
    """

    bytes: int | None = None
    """Counted where modules are weighed, as `packed_bytes`."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module

    outputs: Levels | None = None
    """Told by the layers themselves, as far as they are the last."""

    def weights(self) -> list[Weight]:
        """Return every weight and bias, dequantized."""
        found, levels, now = list[Weight](), dict[str, tuple[Levels | None, Levels]](), _entering(self._module)
        told = _told_by_graph(self._module)
        for name, part in self._module.named_modules():
            flat = type(part).__name__.endswith("1d")  # a filter of one axis is packed as one of two
            if (gives := _levels(part)) is not None:
                levels[name], now = (now, gives), gives
            static = levels.get(name, levels.get(name.rpartition(".")[0]))  # the layer, or what it keeps them in
            for tensor in _held(part):
                weight = _weight(tensor.squeeze(2) if flat and tensor.ndim == 4 else tensor)
                if tensor.dtype == torch.qint8:  # embeddings and layers of 16 bits work with floating-point numbers
                    given, gives = static or (Levels(REDUCED), None)
                    if name in told:  # what the graph works out is told by the layers
                        given, gives = (
                            graph or layer for graph, layer in zip(told[name], static or (None, None), strict=True)
                        )
                    weight = replace(weight, given=given, gives=gives)
                found.append(weight)
        return found + [Weight(tensor.detach().cpu().float()) for _, tensor, _ in tensors_of(self._module)]


def _levels(part: nn.Module) -> Levels | None:
    """Return the levels of what a static layer gives, or of what numbers are rounded to in front of the first."""
    scale, zero = getattr(part, "scale", None), getattr(part, "zero_point", None)
    kind = type(part).__module__
    if isinstance(part, torch.jit.ScriptModule) and hasattr(part, "_c"):
        kind = part._c._type().qualified_name()
    if scale is None or zero is None or "torch.ao." not in kind or "dynamic" in kind:  # which have them for nothing
        return None
    return Levels.coded(float(scale), int(zero), 0, 255)


def _entering(module: nn.Module) -> Levels | None:
    """Return the levels of what comes into a graph of FX, which keeps them beside its layers; None where not told."""
    for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
        if node.target is torch.quantize_per_tensor:
            held = [getattr(module, str(getattr(one, "target", "")), None) for one in node.args[1:3]]
            if all(isinstance(one, Tensor) and one.numel() == 1 for one in held):
                scale, zero = (one.item() for one in held if one is not None)
                return Levels.coded(float(scale), int(zero), 0, 255)
    return None


def _told_by_graph(module: nn.Module) -> dict[str, tuple[Levels | None, Levels | None]]:
    """Return how a script rounds what each layer is given, and what that gives, by what holds the layer's weight.

    A traced script has scales in its graph alone, where static operators and dynamic ones have other names.
    """
    if not isinstance(module, torch.jit.ScriptModule):
        return {}
    try:
        nodes = list(module.inlined_graph.nodes())
    except RuntimeError:  # no graph of its own: a module without forward
        return {}
    found, levels = dict[str, tuple[Levels | None, Levels | None]](), dict[str, Levels]()
    for node in nodes:
        inputs, kind = list(node.inputs()), node.kind()
        given = levels.get(inputs[0].debugName()) if inputs else None
        if kind in ("aten::quantize_per_tensor", *_STATIC):
            gives = _coded(module, inputs[-2:] if kind in _STATIC else inputs[1:3])
            if kind in _STATIC:
                found[".".join(_place(inputs[1])[:-1])] = given, gives
            if gives is not None:
                levels[node.output().debugName()] = gives
        elif kind.endswith("_dynamic") and len(inputs) > 1:
            found[".".join(_place(inputs[1])[:-1])] = Levels(REDUCED), None
        elif given is not None and kind != "aten::dequantize" and node.outputsSize() == 1:
            levels[node.output().debugName()] = given  # moved, or cut off at 0
    return found


_STATIC = frozenset(
    f"quantized::{kind}{relu}" for kind in ("linear", "conv1d", "conv2d", "conv3d") for relu in ("", "_relu")
)
"""Operators on codes, whose last inputs are scale and zero point of what they give."""


def _place(value: Any) -> list[str]:
    """Return where a script holds what a value of its graph is, name by name; empty for what is worked out."""
    node, names = value.node(), list[str]()
    while node.kind() == "prim::GetAttr":
        names.insert(0, node.s("name"))
        node = next(iter(node.inputs())).node()
    return names


def _coded(module: nn.Module, inputs: list[Any]) -> Levels | None:
    """Return the levels that a scale and a zero point of a graph give, constants or held by the script."""
    numbers = []
    for value in inputs:
        held = value.toIValue()
        for name in _place(value):
            held = getattr(module if held is None else held, name)
        if held is None:
            return None
        numbers.append(float(held))
    return Levels.coded(numbers[0], int(numbers[1]), 0, 255)


def has_packed_layers(module: nn.Module) -> bool:
    """Whether any layer of a module keeps its weight as such an object."""
    halves = _of_half(module)
    parts = ((part, tensor) for part in module.modules() for tensor in _held(part))
    return any(tensor.is_quantized or id(part) in halves for part, tensor in parts)


def packed_bytes(module: nn.Module) -> int:
    """Return what the packed objects of a module take: codes with their scales, biases."""
    halves = _of_half(module)  # packed in 16 bits, and given back in 32
    return sum(
        _bytes(tensor) // (1 + (id(part) in halves and tensor.ndim > 1))
        for part in module.modules()
        for tensor in _held(part)
    )


def packed_numbers(module: nn.Module) -> int:
    """Return how many numbers the packed objects of a module stand for."""
    return sum(tensor.numel() for part in module.modules() for tensor in _held(part))


def _of_half(module: nn.Module) -> set[int]:
    """Return the layers that torch.ao packed in 16 bits, with what is in them."""
    found = set[int]()
    for part in module.modules():
        kind = getattr(part, "dtype", getattr(part, "weight_dtype", None))
        if kind == torch.float16 and type(part).__module__.startswith("torch.ao."):
            found |= {id(inner) for inner in part.modules()}
    return found


def _held(part: nn.Module) -> Iterator[Tensor]:
    """Yield the tensors in the packed objects that one layer keeps, shared ones once."""
    seen: dict[int, Tensor] = {}  # held, since what is given back may lie where another one lay
    for item in _attributes(part):
        if type(item) is torch.ScriptObject:
            for tensor in _within(item):
                seen.setdefault(tensor.data_ptr(), tensor)
    yield from seen.values()


def _attributes(part: nn.Module) -> Iterator[Any]:
    yield from vars(part).values()
    if isinstance(part, torch.jit.ScriptModule) and "_concrete_type" in vars(part):  # not of frozen ones
        for name in vars(part)["_concrete_type"].get_attributes():
            yield part._c.getattr(name)


def _within(item: Any) -> Iterator[Tensor]:
    """Yield the tensors in a nest of containers, packed objects and the states they give of themselves."""
    if isinstance(item, Tensor):
        yield item
    elif isinstance(item, list | tuple):
        for inner in item:
            yield from _within(inner)
    else:
        for way in ("unpack", "__getstate__"):
            try:
                given = getattr(item, way)()
            except (AttributeError, RuntimeError, TypeError):
                continue
            yield from _within(given)
            return


def _bytes(tensor: Tensor) -> int:
    scales = 0
    if tensor.is_quantized:  # a scale and a zero point for each channel, or for all
        scales = 16 * (tensor.q_per_channel_scales().numel() if "channel" in str(tensor.qscheme()) else 1)
    codes = -(-tensor.numel() // 2) if tensor.dtype == torch.quint4x2 else tensor.numel() * tensor.element_size()
    return codes + scales


def _weight(tensor: Tensor) -> Weight:
    if not tensor.is_quantized:
        return Weight(tensor.detach().float())
    kind = str(tensor.dtype).removeprefix("torch.q").partition("x")[0]  # quint4x2: two codes a byte
    if "channel" not in str(tensor.qscheme()):
        step = torch.tensor(tensor.q_scale()).reshape([1] * tensor.ndim)
        return Weight(tensor.dequantize(), step, f"torch.ao {kind} per tensor")
    to = [-1 if axis == tensor.q_per_channel_axis() else 1 for axis in range(tensor.ndim)]
    step = tensor.q_per_channel_scales().float().reshape(to)
    return Weight(tensor.dequantize(), step, f"torch.ao {kind} per channel")
