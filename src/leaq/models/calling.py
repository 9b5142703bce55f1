"""Running a module with exchanged weights, and putting back everything that running it touched.

The module lends its architecture and stays the user's: each place that holds a tensor is exchanged once (a layer
under two names is one place), buffers are lent as copies, and the attributes a forward pass writes are put back.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn

from leaq.errors import UnsupportedModel

__all__ = ["call", "evaluating", "full_precision", "output_tensor", "places", "unwrap"]


def unwrap(module: nn.Module) -> nn.Module:
    """Return the module inside torch.compile and data-parallel wrappers, whose names carry no prefix."""
    while True:
        inner = getattr(module, "_orig_mod", None)
        if inner is None and isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            inner = module.module
        if not isinstance(inner, nn.Module):
            return module
        module = inner


@contextmanager
def evaluating(module: nn.Module) -> Iterator[nn.Module]:
    """Put a module into evaluation mode, and every part of it back into the state it was in.

    Beside the modes that is what a forward pass may write: attributes, buffers, and the content of plain lists and
    mappings (counters, running means, caches). Exported programs have no modes; they run as they were exported.
    """
    kept = [_State(part) for part in module.modules()]
    try:
        with suppress(NotImplementedError):
            module.eval()
        yield module
    finally:
        for state in kept:
            state.put_back()


class _State:
    """What one part of a module holds itself: its attributes, and its buffers, tensors and containers by value."""

    def __init__(self, part: nn.Module) -> None:
        self.part = part
        self.mode = part.training
        self.scripted = isinstance(part, torch.jit.ScriptModule)
        self.attributes: dict[str, Any] = {} if self.scripted else dict(part.__dict__)
        held = self.attributes.values()
        self.lists = [(value, list(value)) for value in held if type(value) is list]
        self.mappings = [(value, dict(value)) for value in held if type(value) is dict]
        tensors = [*part.buffers(recurse=False), *(value for value in held if isinstance(value, Tensor))]
        self.tensors = [(t, t._version, t.detach().clone()) for t in tensors if type(t) is Tensor and not t.is_meta]

    def put_back(self) -> None:
        if self.scripted:
            self.part.training = self.mode
        else:
            self.part.__dict__.clear()
            self.part.__dict__.update(self.attributes)
        for values, before in self.lists:
            values[:] = before
        for mapping, entries in self.mappings:
            mapping.clear()
            mapping.update(entries)
        for tensor, version, earlier in self.tensors:
            if tensor._version != version:
                with torch.no_grad():
                    tensor.copy_(earlier)


def places(module: nn.Module, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors by every place of the module that holds them, each place once.

    A tied parameter has several places. A layer that is reachable under two names is one place: exchanging it twice
    would put the exchanged tensor back as if it were the module's own.

    Examples
    --------
    >>> tied = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    >>> tied[1].weight = tied[0].weight
    >>> sorted(places(tied, {"0.weight": torch.zeros(2, 2)}))
    ['0.weight', '1.weight']
    """
    held: dict[int, list[str]] = {}
    for prefix, part in module.named_modules():
        for name, tensor in (*part._parameters.items(), *part._buffers.items()):
            if tensor is not None:
                held.setdefault(id(tensor), []).append(f"{prefix}.{name}" if prefix else name)
    found: dict[str, Tensor] = {}
    for name, value in params.items():
        owner, _, leaf = name.rpartition(".")
        part = module.get_submodule(owner)
        found |= dict.fromkeys(held[id(part._parameters.get(leaf, part._buffers.get(leaf)))], value)
    return found


def call(module: nn.Module, params: Mapping[str, Tensor], inputs: Any) -> Tensor:
    """Run a module with exchanged weights on one batch; tied parameters stay tied.

    Parameters
    ----------
    inputs : what the module takes: a tensor, a tuple (positional) or mapping (named) of arguments, or any object.

    Raises
    ------
    UnsupportedModel
        If what comes out holds no tensor of outputs.
    """
    if isinstance(inputs, Mapping):
        args, kwargs = (), dict(inputs)
    else:
        args, kwargs = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,), {}
    if isinstance(module, torch.jit.ScriptModule):
        with _written(module, params):
            return output_tensor(module(*args, **kwargs))
    lent = places(module, _renormalised(module) | dict(params))
    if not lent:
        return output_tensor(module(*args, **kwargs))
    return output_tensor(torch.func.functional_call(module, lent, args, kwargs, tie_weights=False))


def _renormalised(module: nn.Module) -> dict[str, Tensor]:
    """Return copies of the embeddings that looking a row up rescales in place (`max_norm`)."""
    return {
        f"{name}.weight" if name else "weight": part.weight.detach().clone()
        for name, part in module.named_modules()
        if isinstance(part, nn.Embedding | nn.EmbeddingBag) and part.max_norm is not None
    }


@contextmanager
def _written(module: nn.Module, params: Mapping[str, Tensor]) -> Iterator[None]:
    """Write weights into a scripted module, whose places cannot be exchanged, and its own ones back."""
    own = {name: t for name, t in (*module.named_parameters(), *module.named_buffers()) if name in params}
    before = {name: tensor.detach().clone() for name, tensor in own.items()}
    try:
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(params[name])
        yield
    finally:
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(before[name])


def full_precision(value: Any) -> Any:
    """Widen half-precision tensors to 32 bits, wherever they stand in a nest of containers."""
    if isinstance(value, Tensor):
        return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
    if isinstance(value, Mapping):
        return {key: full_precision(item) for key, item in value.items()}
    return tuple(full_precision(item) for item in value) if isinstance(value, tuple | list) else value


def output_tensor(outputs: Any) -> Tensor:
    """Return the tensor of outputs in floating point: itself, `.logits`, or the first of a tuple."""
    if isinstance(outputs, Tensor):
        return _real(outputs)
    logits = outputs.get("logits") if isinstance(outputs, Mapping) else getattr(outputs, "logits", None)
    if isinstance(logits, Tensor):
        return _real(logits)
    if isinstance(outputs, tuple | list) and outputs and isinstance(outputs[0], Tensor):
        return _real(outputs[0])
    raise UnsupportedModel(
        f"The model must return a tensor, a tuple that starts with one, or something with logits. "
        f"Found {type(outputs).__name__}. Wrap it in a module that returns the outputs."
    )


def _real(outputs: Tensor) -> Tensor:
    if outputs.is_complex():
        raise UnsupportedModel(
            "The model's outputs must be real numbers. Found complex ones. Return their magnitude, or their real part."
        )
    if outputs.layout != torch.strided:
        outputs = outputs.to_dense()
    outputs = outputs.dequantize() if outputs.is_quantized else outputs
    return outputs if outputs.is_floating_point() else outputs.float()
