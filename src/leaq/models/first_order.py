"""What single weights do to every record's loss, to first order: one run forwards and one backwards for all of them.

A weight of a layer's output o that reads input i adds step x_i to y_o when it is moved by step, and so, to first order,
step times the sum over positions of x_i dL/dy_o to a record's loss L. No gradient of a whole weight is formed, and
what runs before the first layer asked about leaves no graph. Trying one weight after the other costs a run each.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from leaq.models.calling import call, evaluating, full_precision
from leaq.models.modules import ModuleModel, plain_convolution
from leaq.types import Floats, Ints
from leaq.types.later import is_later

Judge = Callable[[Tensor], Tensor]
"""Outputs (n, ...) -> one loss a record, (n,)."""
AT_ONCE = 2**23
"""Bytes of whole weights whose gradients `slopes` holds together."""


@dataclass(frozen=True)
class Steps:
    """Single weights, and how far each is moved.

    Attributes
    ----------
    name : (k,) the parameter each is in.
    position : (k,) index into the flattened parameter.
    size : (k,) the weight afterwards less the weight before.
    """

    name: tuple[str, ...]
    position: Ints
    size: Floats

    def by_name(self) -> Iterator[tuple[str, Ints]]:
        """Yield each parameter and which of the steps are in it."""
        names = np.array(self.name)
        for name in dict.fromkeys(self.name):
            yield name, np.flatnonzero(names == name)


def first_order(
    model: ModuleModel, params: Mapping[str, Tensor], inputs: Any, *, judge: Judge, steps: Steps
) -> tuple[Tensor, Tensor]:
    """Return the losses (n,) of some records, and what each step adds to them, (k, n), both float64.

    A step in a layer of another kind than linear, looked up or plain convolution, or in one that does not see the
    records along its first axis, is NaN; what else reads the weight is not seen: compare with `slopes`.

    Parameters
    ----------
    params : the weights as they are, without a model axis; the module's own stay as they are.
    judge : outputs (n, ...) -> losses (n,), each of its own record alone.

    Examples
    --------
    >>> model = ModuleModel(nn.Linear(2, 1, bias=False))
    >>> steps = Steps(("weight",), np.array([1]), np.array([0.5]))
    >>> x, weight = torch.tensor([[1.0, 2.0], [1.0, 3.0]]), {"weight": torch.ones(1, 2)}
    >>> [part.tolist() for part in first_order(model, weight, x, judge=lambda out: out[:, 0], steps=steps)]
    [[3.0, 4.0], [[1.0, 1.5]]]
    """
    watches: list[_Watch] = []
    with _watching(model.module, params, steps, watches), torch.enable_grad(), evaluating(model.module):
        losses = judge(call(model.module, model.own | dict(params), full_precision(inputs)))
        found = torch.autograd.grad(losses.sum(), [one.probe for one in watches], allow_unused=True)
    changes = torch.zeros((len(steps.name), len(losses)), dtype=torch.float64, device=losses.device)
    watched = {int(k) for one in watches for k in one.which}
    for one, slope in zip(watches, found, strict=True):
        if slope is not None:
            changes[one.which] += one.by_record(slope, len(losses))
    changes *= torch.as_tensor(steps.size, device=changes.device).unsqueeze(1)
    changes[[k for k in range(len(changes)) if k not in watched]] = torch.nan
    return losses.detach().double(), changes


def slopes(model: ModuleModel, params: Mapping[str, Tensor], inputs: Any, *, judge: Judge, steps: Steps) -> Floats:
    """Return what each step adds to the summed loss of some records, (k,), by gradients of whole weights.

    Slower and larger than `first_order`, but of any layer, and wherever a weight is read.
    """
    leaves = {name: params[name].detach().requires_grad_() for name, _ in steps.by_name()}
    found = np.zeros(len(steps.name))
    with torch.enable_grad(), evaluating(model.module):
        loss = judge(call(model.module, model.own | dict(params) | leaves, full_precision(inputs))).sum()
        groups = list(_groups(list(steps.by_name()), leaves))
        for number, group in enumerate(groups, start=1):
            asked = [leaves[name] for name, _ in group]
            grads = torch.autograd.grad(loss, asked, retain_graph=number < len(groups), allow_unused=True)
            for (_, which), grad in zip(group, grads, strict=True):
                if grad is not None:
                    found[which] = grad.reshape(-1)[torch.as_tensor(steps.position[which])].double().cpu().numpy()
            del grads, grad  # before the next ones: one may be a large part of all weights
    return np.asarray(found * steps.size)


def _groups(named: list[tuple[str, Ints]], leaves: Mapping[str, Tensor]) -> Iterator[list[tuple[str, Ints]]]:
    group: list[tuple[str, Ints]] = []
    for one in named:
        if group and sum(leaves[name].nbytes for name, _ in (*group, one)) > AT_ONCE:
            yield group
            group = []
        group.append(one)
    yield group


def kept_bytes(model: ModuleModel, params: Mapping[str, Tensor], inputs: Any, *, judge: Judge, steps: Steps) -> int:
    """Return the bytes that `first_order` keeps between its two runs, weights left out."""
    weights = [tensor for tensor in (*params.values(), *model.module.parameters()) if not is_later(tensor)]
    own = {tensor.untyped_storage().data_ptr() for tensor in weights}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        if not is_later(tensor) and (storage := tensor.untyped_storage()).data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        first_order(model, params, inputs, judge=judge, steps=steps)
    return sum(kept.values())


@contextmanager
def _watching(module: nn.Module, params: Mapping[str, Tensor], steps: Steps, watches: list["_Watch"]) -> Iterator[None]:
    """Watch every layer that holds a parameter with steps, under whatever name, while the context lasts."""
    wanted = {id(module.get_parameter(name)): (name, which) for name, which in steps.by_name()}
    hooks = []
    try:
        for part in module.modules():
            weight = part._parameters.get("weight")
            if weight is None or id(weight) not in wanted or (kind := _kind(part)) is None:
                continue
            name, which = wanted[id(weight)]
            at = torch.as_tensor(steps.position[which], device=params[name].device)
            hooks.append(part.register_forward_hook(_hook(kind, part, (which, at), watches), with_kwargs=True))
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _hook(kind: str, layer: nn.Module, at: tuple[Ints, Tensor], watches: list["_Watch"]) -> Callable[..., Tensor]:
    def watch(_layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> Tensor:
        x = args[0] if args else kwargs["input"]
        read, unit, axis = _READ[kind](layer, x, at[1], output)
        shape = list(output.shape)
        shape[axis] = len(unit)
        probe = torch.zeros(shape, dtype=output.dtype, device=output.device, requires_grad=True)
        watches.append(_Watch(probe, read.detach(), at[0], axis))
        return output.index_add(axis, unit, probe)

    return watch


@dataclass(frozen=True)
class _Watch:
    """One call of a watched layer: what is added to its outputs (nothing), and what its weights read there."""

    probe: Tensor
    read: Tensor
    which: Ints
    axis: int

    def by_record(self, slope: Tensor, n: int) -> Tensor:
        """Return the derivative of each record's loss by each weight, (k, n); NaN where records are not told apart."""
        product = (self.read * slope).movedim(self.axis, -1)
        k = product.shape[-1]
        if product.ndim < 2 or product.shape[0] % n:
            return torch.full((k, n), torch.nan, dtype=torch.float64, device=slope.device)
        return product.reshape(n, -1, k).double().sum(1).T


def _linear(layer: Any, x: Tensor, at: Tensor, _output: Tensor) -> tuple[Tensor, Tensor, int]:
    width = layer.weight.shape[1]
    return x[..., at % width], at // width, -1


def _transposed(layer: Any, x: Tensor, at: Tensor, _output: Tensor) -> tuple[Tensor, Tensor, int]:
    width = layer.weight.shape[1]
    return x[..., at // width], at % width, -1


def _looked_up(layer: Any, x: Tensor, at: Tensor, output: Tensor) -> tuple[Tensor, Tensor, int]:
    width = layer.weight.shape[1]
    return (x.unsqueeze(-1) == at // width).to(output.dtype), at % width, -1


def _convolved(layer: Any, x: Tensor, at: Tensor, output: Tensor) -> tuple[Tensor, Tensor, int]:
    patch = layer.weight[0, 0].numel()
    channel, offset = at % layer.weight[0].numel() // patch, at % patch
    flat = x.unsqueeze(2) if x.ndim == 3 else x
    size, dilation, padding, stride = (
        (lead, *given) if x.ndim == 3 else given
        for lead, given in ((1, layer.kernel_size), (1, layer.dilation), (0, layer.padding), (1, layer.stride))
    )
    columns = [
        nn.functional.unfold(flat[:, c : c + 1], size, dilation, padding, stride)[:, o]
        for c, o in zip(channel.tolist(), offset.tolist(), strict=True)
    ]
    return torch.stack(columns, 1).reshape(len(x), len(at), *output.shape[2:]), at // layer.weight[0].numel(), 1


_READ = {"linear": _linear, "transposed": _transposed, "looked up": _looked_up, "convolved": _convolved}


def _kind(layer: nn.Module) -> str | None:
    """Return how a layer reads its weight, None where that is not known."""
    if isinstance(layer, nn.Linear):
        return "linear"
    if isinstance(layer, nn.Embedding):
        return None if layer.max_norm is not None else "looked up"
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        return "convolved" if plain_convolution(layer) else None
    return "transposed" if type(layer).__name__ == "Conv1D" else None
