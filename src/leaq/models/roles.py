"""What each parameter of a torch module is: decides what a quantizer touches."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from leaq.errors import UnsupportedModel, some
from leaq.types import Flag, Role
from leaq.types.later import is_later

_KINDS: tuple[tuple[type[nn.Module], Role], ...] = (
    (nn.Linear, "linear"),
    (nn.Bilinear, "other"),
    (nn.Conv1d, "conv1d"),
    (nn.Conv2d, "conv2d"),
    (nn.Embedding, "embedding"),
    (nn.EmbeddingBag, "embedding"),
    (nn.RNNBase, "linear"),
    (nn.RNNCellBase, "linear"),
    (nn.MultiheadAttention, "linear"),
)

_BY_NAME: dict[str, Role] = {layer.__name__: role for layer, role in _KINDS if layer is not nn.RNNBase}
_BY_NAME |= {"LSTM": "linear", "GRU": "linear", "RNN": "linear"}
"""Layers of scripted modules."""
_BY_RANK: dict[int, Role] = {2: "linear", 3: "conv1d", 4: "conv2d"}
"""Weights of exported programs, whose layers have no class: by their number of axes. Embeddings count as linear."""
_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_NORM = re.compile(r"Norm(\d+d)?$|^Norm(?![a-z])")
"""Normalising layers by name: BatchNorm1d, LayerNorm, LlamaRMSNorm; neither NormedMlp nor NormLinear's matrices."""
_BIAS = re.compile(r"(^|_)bias($|_)")
"""Biases by name: bias, bias_ih_l0, in_proj_bias; not debias_proj."""

CODES = (torch.int8, torch.uint8, torch.int16, torch.int32)
"""Types of packed codes; counters and tables of positions are of 64 bits."""


def tensors_of(module: nn.Module, *, trainable: bool = False) -> Iterator[tuple[str, Tensor, nn.Module]]:
    """Yield what a released model consists of: parameters and buffers of real or complex numbers, shared ones once.

    Buffers that the module does not save (position tables, masks) are part of the architecture and left out.

    Parameters
    ----------
    trainable : only parameters that require a gradient, and the buffers of modules in training (batch statistics).

    Raises
    ------
    UnsupportedModel
        If a layer never saw a batch that would tell it its shape.
    """
    seen: set[int] = set()
    for prefix, owner in module.named_modules():
        unsaved = owner._non_persistent_buffers_set
        owned = [*owner._parameters.items(), *((k, v) for k, v in owner._buffers.items() if k not in unsaved)]
        for name, tensor in owned:
            if tensor is None or id(tensor) in seen:
                continue
            if is_lazy(tensor):
                full = f"{prefix}.{name}" if prefix else name
                raise UnsupportedModel(
                    f"The model's weights must have values. {full!r} gets its shape from the first batch, and none has "
                    "come. Run the model once on a batch first."
                )
            if not (tensor.is_floating_point() or tensor.is_complex()):
                continue
            if trainable and isinstance(tensor, nn.Parameter) and not tensor.requires_grad:
                continue
            seen.add(id(tensor))
            yield f"{prefix}.{name}" if prefix else name, tensor, owner


def roles_of(module: nn.Module, *, trainable: bool = False) -> dict[str, Role]:
    """Return the role of every parameter and saved buffer, in the order of the layers.

    Examples
    --------
    >>> roles_of(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)))["0.weight"]
    'linear'
    """
    return {name: role_of(name, tensor, owner) for name, tensor, owner in tensors_of(module, trainable=trainable)}


def role_of(name: str, tensor: Tensor, owner: nn.Module) -> Role:
    """Return the role of one parameter or buffer: the only place where layers are told apart.

    Parameters
    ----------
    name : full name, for example "head.0.weight".
    owner : the module that holds it.
    """
    kind = getattr(owner, "original_name", type(owner).__name__)  # scripted parts keep the name of their class only
    if tensor.is_complex():
        return "other"
    if tensor.ndim < 2 and (isinstance(owner, _NORMS) or _NORM.search(kind)):
        return "norm"
    if not isinstance(tensor, nn.Parameter):
        return "scaler"
    leaf = name.rsplit(".", maxsplit=1)[-1]
    if leaf.endswith("_orig") and leaf.removesuffix("_orig") in vars(owner):
        return "other"  # what a hook divides by a norm or masks is no weight: rounding it would round something else
    if tensor.ndim < 2:
        return "bias" if _BIAS.search(leaf) else "other"
    if "lora" in name and tensor.ndim == 2:
        return "linear"
    return _layer_role(kind, leaf, tensor, owner)


def _layer_role(kind: str, leaf: str, tensor: Tensor, owner: nn.Module) -> Role:
    """Return the role of a parameter of two axes or more: by its layer's class, or by the class's name."""
    for layer, role in _KINDS:
        if isinstance(owner, layer):
            return role
    if kind in _BY_NAME:
        return _BY_NAME[kind]
    program = type(owner) in (nn.Module, torch.fx.GraphModule) or type(owner).__module__.startswith("torch.export")
    if program and leaf == "weight":
        return _BY_RANK.get(tensor.ndim, "other")
    # Linear layers of other libraries: transformers' Conv1D, LoRA wrappers, parametrised linears.
    linear = tensor.ndim == 2 and leaf == "weight" and ("Linear" in kind or kind == "Conv1D")
    return "linear" if linear else "other"


def shared_names(module: nn.Module) -> dict[str, str]:
    """Return ``{second name: first name}`` of every parameter that appears under several names (tied weights)."""
    first: dict[int, str] = {}
    shared = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        if id(parameter) in first:
            shared[name] = first[id(parameter)]
        else:
            first[id(parameter)] = name
    return shared


def parameter_doubts(module: nn.Module) -> tuple[Flag, ...]:
    """Refuse parameters without values; flag tied, half-precision and unquantized ones.

    Raises
    ------
    UnsupportedModel
        If a tensor is on the meta device, or a batch normalisation has no statistics of its own.
    """
    roles: dict[str, Role] = {}
    counts: dict[str, int] = {}
    half = []
    for name, parameter in module.named_parameters():
        if not is_lazy(parameter) and not (parameter.is_floating_point() or parameter.is_complex()):
            raise UnsupportedModel(
                f"The model must hold ordinary weights. {name!r} is a {type(parameter).__name__} of "
                f"{str(parameter.dtype).removeprefix('torch.')}: already quantized. Audit the full-precision original, "
                "and give this one as shipped={'name': model}."
            )
    _refuse_codes(module)
    for name, tensor, owner in tensors_of(module):
        if tensor.is_meta:
            raise UnsupportedModel(
                f"The model's weights must have values. {name!r} is on the meta device. "
                "Load the checkpoint into the model first (load_state_dict(..., assign=True))."
            )
        if type(tensor) not in (Tensor, nn.Parameter) and not is_later(tensor):
            raise UnsupportedModel(
                f"The model must hold ordinary weights. {name!r} is a {type(tensor).__name__}: already quantized. "
                "Audit the full-precision original, and give this one as shipped={'name': model}."
            )
        if tensor.dtype in (torch.float16, torch.bfloat16):
            half.append(name)
        roles[name], counts[name] = role_of(name, tensor, owner), tensor.numel()
    _refuse_batch_statistics(module)
    return tuple(_doubts(module, len(half), roles, counts))


def refuse_sparse(module: nn.Module) -> None:
    """Refuse weights in a sparse layout, which nothing rounds or compares, with `UnsupportedModel`."""
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if not is_lazy(tensor) and tensor.layout != torch.strided:
            raise UnsupportedModel(
                f"The model must hold dense weights. {name!r} is in the layout {tensor.layout}. Give it as "
                "weight.to_dense(), zeros included; torch.nn.functional.linear multiplies with it."
            )


def _doubts(module: nn.Module, half: int, roles: Mapping[str, Role], counts: Mapping[str, int]) -> Iterator[Flag]:
    if shared := shared_names(module):
        pairs = ", ".join(f"{second} = {first}" for second, first in list(shared.items())[:3])
        yield Flag("tied-weights", f"Tied parameters are quantized once and counted once: {pairs}.")
    if half:
        text = f"{half} tensors are stored in half precision; they were evaluated in 32 bits, sizes count 32."
        yield Flag("half-precision", text)
    yield from _unquantized(roles, counts)
    plain = Counter[str]()
    for name, tensor in plain_tensors(module):
        plain[name] += tensor.numel()
    if several := {name: count for name, count in plain.items() if count > 1}:
        text = (
            f"No parameters of the model, and so neither quantized nor counted: {some(list(several), 5)}: "
            f"{sum(several.values()):,} numbers. Layers belong into a ModuleList, weights into a Parameter, other "
            "numbers into a buffer (register_buffer)."
        )
        yield Flag("unregistered", text)
    if any(type(part).__name__ == "Conv1D" and not isinstance(part, nn.Conv1d) for part in module.modules()):
        text = "Conv1D layers store (in, out) weights; one scale a channel there means one scale an input channel."
        yield Flag("transposed-linear", text)


def _refuse_codes(module: nn.Module) -> None:
    """Refuse matrices of small whole numbers among the buffers: packed layers and converted graphs keep codes there."""
    for prefix, owner in module.named_modules():
        for name, tensor in owner._buffers.items():
            saved = name not in owner._non_persistent_buffers_set
            if tensor is not None and saved and tensor.ndim == 2 and tensor.dtype in CODES and tensor.numel() > 1:
                full = f"{prefix}.{name}" if prefix else name
                raise UnsupportedModel(
                    f"The model must hold ordinary weights. {full!r} is a buffer of "
                    f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}: already quantized. Audit the "
                    "full-precision original, and give this one as shipped={'name': model}."
                )


def _refuse_batch_statistics(module: nn.Module) -> None:
    for name, part in module.named_modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.running_mean is None:
            raise UnsupportedModel(
                f"A record's loss must not depend on the others in its batch. {type(part).__name__} {name!r} keeps no "
                "running statistics and normalises by the batch. Use track_running_stats=True, or GroupNorm."
            )


def _unquantized(roles: Mapping[str, Role], counts: Mapping[str, int]) -> Iterator[Flag]:
    """Name and count what no quantizer touches; sizes and bits count all of it."""
    other = [name for name, role in roles.items() if role == "other"]
    buffers = [name for name, role in roles.items() if role == "scaler" and counts[name] > LARGE_BUFFER]
    kept = sum(role in ("bias", "norm", "scaler") for role in roles.values())
    if kept:
        text = f"{kept} bias, norm and statistics tensors are released in full precision; r does not cover them."
        if buffers:
            part = sum(counts[name] for name in buffers)
            text += f" Among them are buffers of {part:,} numbers ({some(buffers)}): weights, if the model learnt them."
        yield Flag("unquantized-rest", text)
    if other:
        part = sum(counts[name] for name in other)
        text = (
            f"Not quantized, of a kind no quantizer knows: {some(other, 5)}: "
            f"{part:,} of {sum(counts.values()):,} numbers, released in full precision."
        )
        if any(".parametrizations." in name for name in other):
            text += " Bake them in with torch.nn.utils.parametrize.remove_parametrizations."
        elif any(name.endswith("_orig") for name in other):
            text += " Bake them in with torch.nn.utils.prune.remove, or remove_spectral_norm."
        yield Flag("unquantized-other", text)


LARGE_BUFFER = 100
"""Numbers from which a buffer is named that is no statistic of a norm."""
COMPUTED = ("_orig", "_v")
"""Ends of the names of parameters that a hook makes a weight of before every run: pruning, spectral and weight norm."""


def plain_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of numbers that are no parameters or buffers, each with the attribute it hangs on."""
    known = {id(tensor) for tensor in (*module.parameters(), *module.buffers())}
    for prefix, owner in module.named_modules():
        for name, held in vars(owner).items():
            if name.startswith("_") or isinstance(owner, torch.jit.ScriptModule):
                continue
            if any(f"{name}{end}" in owner._parameters for end in COMPUTED):
                continue
            for tensor in _tensors_in(held):
                if id(tensor) not in known:
                    yield f"{prefix}.{name}" if prefix else name, tensor


def _tensors_in(held: object) -> Iterator[Tensor]:
    """Yield the tensors of numbers in an attribute: itself, of a layer, or of a list or mapping of either."""
    if isinstance(held, Tensor):
        yield from [held] if held.is_floating_point() or held.is_complex() else []
    elif isinstance(held, nn.Module):
        yield from (*held.parameters(), *held.buffers())
    elif isinstance(held, list | tuple):
        for item in held:
            yield from _tensors_in(item)
    elif isinstance(held, Mapping):
        yield from _tensors_in(list(held.values()))
