"""Running a module with exchanged weights, and putting back everything that running it touched.

The module lends its architecture and stays the user's: each place that holds a tensor is exchanged once (a layer
under two names is one place), buffers are lent as copies, and the attributes a forward pass writes are put back.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from leaq.errors import UnsupportedModel
from leaq.models.contents import contents_of

HALVES = (torch.float16, torch.bfloat16)
WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel, torch.optim.swa_utils.AveragedModel)
"""Modules that hold another one as `module` and do in evaluation mode what it does."""


def unwrap(module: nn.Module) -> nn.Module:
    """Return the module inside wrappers (torch.compile, data-parallel, averaged), whose names carry no prefix."""
    while True:
        inner = getattr(module, "_orig_mod", None)
        if inner is None and isinstance(module, WRAPPERS):
            inner = module.module
        if not isinstance(inner, nn.Module):
            return module
        module = inner


@contextmanager
def evaluating(module: nn.Module) -> Iterator[nn.Module]:
    """Put a module into evaluation mode, and every part of it back into the state it was in.

    Beside the modes that is what a forward pass may write: attributes, buffers, whether weights ask for gradients, and
    the content of containers, arrays and objects that hang on attributes (counters, running means, caches). Exported
    programs have no modes; they run as they were exported.
    """
    seen: set[int] = set()
    kept = [_State(part, seen) for part in module.modules()]
    try:
        with suppress(NotImplementedError, AttributeError):
            module.eval()
        yield module
    finally:
        for state in kept:
            state.put_back()


class _State:
    """What one part of a module holds itself: its attributes, and what in them can be written, by value."""

    def __init__(self, part: nn.Module, seen: set[int]) -> None:
        self.part = part
        self.mode = getattr(part, "training", None)  # frozen programs have none
        self.scripted = isinstance(part, torch.jit.ScriptModule)
        self.attributes: dict[str, Any] = {} if self.scripted else dict(part.__dict__)
        self.asked = [(p, p.requires_grad) for p in part.parameters(recurse=False) if type(p) is nn.Parameter]
        self.contents = list(contents_of([*part.buffers(recurse=False), *self.attributes.values()], seen))

    def put_back(self) -> None:
        if self.scripted:
            if self.mode is not None:
                self.part.training = self.mode
        else:
            self.part.__dict__.clear()
            self.part.__dict__.update(self.attributes)
        for content in self.contents:
            content()
        for parameter, asked in self.asked:
            if parameter.requires_grad != asked:
                parameter.requires_grad_(asked)


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


def exchange(module: nn.Module, name: str, value: Tensor) -> None:
    """Put a tensor into every place of a parameter or buffer that has no values to be written over."""
    parameter = nn.Parameter(value, requires_grad=False)
    for place in places(module, {name: value}):
        owner, _, leaf = place.rpartition(".")
        part = module.get_submodule(owner)
        if leaf in part._parameters:
            part._parameters[leaf] = parameter
        else:
            part._buffers[leaf] = value


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
    if any(isinstance(part, torch.jit.ScriptModule) for part in module.modules()):
        with _written(module, params):
            return output_tensor(module(*args, **kwargs))
    buffers = {name for name, _ in module.named_buffers()}  # a forward pass may write them, and candidates share them
    own = {name: value.clone() if name in buffers else value for name, value in params.items()}
    lent = _renormalised(module, places(module, own))
    if not lent:
        return output_tensor(module(*args, **kwargs))
    return output_tensor(run_lent(module, lent, args, kwargs))


def run_lent(module: nn.Module, lent: dict[str, Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a module with tensors lent to its places; where half-precision ones are lent in 32 bits, casts are to 32."""
    with _Widened() if _is_widened(module, lent.values()) else nullcontext():
        return torch.func.functional_call(module, lent, args, kwargs, tie_weights=False)


class _Widened(TorchFunctionMode):
    """Where half-precision weights are lent in 32 bits, lets a forward method that casts to half cast to 32 bits."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (Tensor.half, Tensor.bfloat16):
            return args[0].float()
        args = tuple(torch.float32 if isinstance(one, torch.dtype) and one in HALVES else one for one in args)
        named = dict(kwargs or {})
        if named.get("dtype") in HALVES:
            named["dtype"] = torch.float32
        return func(*args, **named)


def _is_widened(module: nn.Module, lent: Iterable[Tensor]) -> bool:
    own = (*module.parameters(), *module.buffers())
    return any(tensor.dtype in HALVES for tensor in own) and not any(tensor.dtype in HALVES for tensor in lent)


def _renormalised(module: nn.Module, lent: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return what is lent by place, with copies of embeddings that looking a row up rescales in place (`max_norm`)."""
    tables = {
        f"{name}.weight" if name else "weight": part.weight
        for name, part in module.named_modules()
        if isinstance(part, nn.Embedding | nn.EmbeddingBag) and part.max_norm is not None
    }
    return lent | {name: lent.get(name, own).detach().clone() for name, own in tables.items()}


@contextmanager
def _written(module: nn.Module, params: Mapping[str, Tensor]) -> Iterator[None]:
    """Write weights into a module that is scripted, or in part, whose places cannot be exchanged; then its own ones."""
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
        return value.float() if value.dtype in HALVES else value
    if isinstance(value, Mapping):
        return {key: full_precision(item) for key, item in value.items()}
    return tuple(full_precision(item) for item in value) if isinstance(value, tuple | list) else value


def as_given(outputs: Tensor) -> Tensor:
    """Return outputs as they are, where nothing has to be made of them."""
    return outputs


def output_tensor(outputs: Any) -> Tensor:
    """Return the tensor of outputs in floating point: itself, `.logits`, or the first of a tuple."""
    if isinstance(outputs, Tensor):
        return _real(outputs)
    logits = outputs.get("logits") if isinstance(outputs, Mapping) else getattr(outputs, "logits", None)
    if isinstance(logits, Tensor):
        return _real(logits)
    if isinstance(outputs, tuple | list) and outputs and isinstance(outputs[0], Tensor):
        return _real(outputs[0])
    of = f" of {', '.join(map(str, outputs))}" if isinstance(outputs, Mapping) else ""
    raise UnsupportedModel(
        f"The model must return a tensor, a tuple that starts with one, or something with logits. "
        f"Found {type(outputs).__name__}{of}. Wrap it in a module that returns the outputs."
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
