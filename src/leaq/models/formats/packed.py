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
        found, levels, now = list[Weight](), dict[str, tuple[Levels | None, Levels]](), None
        for name, part in self._module.named_modules():
            flat = type(part).__name__.endswith("1d")  # a filter of one axis is packed as one of two
            if (gives := _levels(part)) is not None:
                levels[name], now = (now, gives), gives
            static = levels.get(name, levels.get(name.rpartition(".")[0]))  # the layer, or what it keeps them in
            for tensor in _held(part):
                weight = _weight(tensor.squeeze(2) if flat and tensor.ndim == 4 else tensor)
                if tensor.dtype == torch.qint8:  # embeddings and layers of 16 bits work with floating-point numbers
                    around = static or (Levels(REDUCED), None)
                    weight = replace(weight, given=around[0], gives=around[1])
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
