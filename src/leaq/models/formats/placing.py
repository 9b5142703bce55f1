"""Weights without names, such as those of a graph, given to the parameters they are nearest to."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType

import torch
from torch import Tensor, nn

from leaq.errors import InvalidInput
from leaq.models.formats.levels import Levels, named_levels
from leaq.models.formats.weight import Weight, unlike
from leaq.models.roles import tensors_of

NEAR = 0.1
"""How far a network's outputs may be from its program's, as a share of how much these vary: activations of 8 bits."""
MOST = 400
"""Exchanges that are tried in one round."""


@dataclass(frozen=True)
class Placed:
    """The original with the weights that were found, the forms quantized ones were stored in, and what was not found.

    Attributes
    ----------
    module : None unless every weight of the original (of two axes or more) was found.
    folded : weights into which batch normalisation was folded, by name; in `module` they are without it.
    levels : how what a weight is multiplied with is rounded, and the product; see `leaq.models.formats.levels`.
    """

    module: nn.Module | None
    stored: dict[str, str]
    missing: tuple[str, ...]
    folded: dict[str, "Folded"] = field(default_factory=dict)
    levels: dict[str, Levels] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Folded:
    """A weight as it is stored, with the batch normalisation after its layer folded into it.

    Attributes
    ----------
    norm : name of the normalising layer.
    factor : by which that multiplies each output, broadcast against `value`.
    """

    value: Tensor
    norm: str
    factor: Tensor


def place(found: Sequence[Weight], original: nn.Module, *, subject: str) -> Placed:
    """Give each parameter the weight of its shape that is nearest to it and near it.

    Raises
    ------
    InvalidInput
        If weights of all shapes are there and none is near the original's: the file is another model's.
    """
    left = list(found)
    chosen: dict[str, Weight] = {}
    folded: dict[str, Folded] = {}
    missing, foreign = [], []
    for name, tensor, owner in tensors_of(original):
        wanted = tensor.detach().cpu().float() if not tensor.is_complex() else tensor.detach().cpu()
        alike = [(one, way) for one in left for way in _ways(one) if way.value.shape == wanted.shape]
        off = [float((way.value - wanted).abs().square().sum()) for _, way in alike]
        source, best = alike[off.index(min(off))] if off else (None, None)
        problem = "" if best is None else unlike(best, wanted)
        if source is not None and best is not None and not problem:
            chosen[name] = best
            left.remove(source)
            continue
        if tensor.ndim < 2:
            continue
        if (inside := _unfolded(alike, wanted, original, owner)) is not None:
            within, chosen[name], folded[name] = inside
            left.remove(within)
            continue
        missing.append(name)
        foreign += [f"{name} {problem}"] if best is not None else []
    for layer in {part for name, one in folded.items() for part in (name.rpartition(".")[0], one.norm)}:
        chosen = {name: one for name, one in chosen.items() if one.value.ndim > 1 or name.rpartition(".")[0] != layer}
    weights = [name for name, tensor, _ in tensors_of(original) if tensor.ndim > 1]
    if weights and foreign and not any(name in chosen for name in weights):
        raise InvalidInput(
            f"{subject}: what a file holds must be near the original that it was made from. {foreign[0]}. Give the "
            "original of this file, or audit the file by itself."
        )
    module = None if missing or not weights else _filled(original, chosen)
    return _placed(module, chosen, missing, folded)


def _placed(
    module: nn.Module | None,
    chosen: Mapping[str, Weight],
    missing: Sequence[str] = (),
    folded: Mapping[str, "Folded"] = MappingProxyType({}),
) -> Placed:
    matrices = {name: weight for name, weight in chosen.items() if weight.value.ndim > 1}
    stored = {name: weight.form for name, weight in matrices.items() if weight.form}
    return Placed(module, stored, tuple(missing), dict(folded), _levels(chosen))


def _levels(chosen: Mapping[str, Weight]) -> dict[str, Levels]:
    matrices = {name: weight for name, weight in chosen.items() if weight.value.ndim > 1}
    given, gives = ({name: getattr(one, key) for name, one in matrices.items()} for key in ("given", "gives"))
    return named_levels(given, gives, None)


def _unfolded(
    found: Sequence[tuple[Weight, Weight]], wanted: Tensor, original: nn.Module, owner: nn.Module
) -> tuple[Weight, Weight, Folded] | None:
    """Return the weight that is near the one wanted once a batch normalisation of the original is taken out of it."""
    axis = int(isinstance(owner, nn.modules.conv._ConvTransposeNd))
    others = [i for i in range(wanted.ndim) if i != axis]
    shape = [-1 if i == axis else 1 for i in range(wanted.ndim)]
    near: list[tuple[float, Weight, Weight, Folded]] = []
    for source, way in found:
        ratio = (way.value * wanted).sum(others) / wanted.square().sum(others)
        for norm, factor in _norms(original).items():
            if len(factor) != len(ratio) or not bool(factor.all()):
                continue
            wide = factor.reshape(shape)
            step = None if way.step is None else way.step / wide
            plain = replace(way, value=way.value / wide, step=step)
            off = float((ratio / factor - 1).square().sum())
            near.append((off, source, plain, Folded(way.value, norm, wide)))
    if not near:
        return None
    _, source, plain, folded = min(near, key=lambda one: one[0])
    return None if unlike(plain, wanted) else (source, plain, folded)


def _norms(module: nn.Module) -> dict[str, Tensor]:
    """Return by what each batch normalisation multiplies each output, as torch folds it into the layer before."""
    found = {}
    for name, part in module.named_modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.running_var is not None:
            factor = torch.rsqrt(part.running_var + part.eps)
            found[name] = (factor if part.weight is None else part.weight * factor).detach().cpu().float()
    return found


def place_by_run(
    found: Sequence[Weight],
    network: nn.Module,
    run: Callable[[nn.Module, Mapping[str, Levels]], float],
    *,
    subject: str,
) -> Placed:
    """Give the weights of a program to a network without an original to compare them with, so that both do the same.

    A graph uses its weights in about the order in which a network names them; where they do not fit so, weights of one
    shape are exchanged, and square ones turned, until the network gives what the program gives.

    Parameters
    ----------
    network : its architecture; a copy is filled.
    run : says how far a network's outputs are from the program's, as a share of how much these vary, its activations
        rounded to levels.

    Raises
    ------
    InvalidInput
        If the graph does not show weights of the network's shapes, or no way of placing them gives its outputs.
    """
    names = {name: tensor.shape for name, tensor, _ in tensors_of(network)}
    refuse_other_shapes(found, network, subject=subject)
    chosen: dict[str, Weight] = {}
    for shape in dict.fromkeys(names.values()):
        of_shape = (name for name in names if names[name] == shape)
        chosen |= dict(zip(of_shape, _readings(found, shape), strict=False))
    module = _filled(network, chosen)
    off = run(module, _levels(chosen))
    changes = _changes(found, names)
    while off > NEAR:
        before = off
        for change in changes:
            other = change(chosen)
            if (less := run(_fill(module, other), _levels(other))) < off:
                off, chosen = less, other
        if off == before:
            raise InvalidInput(
                f"{subject}: the network must give what the program gives, with the weights that its graph holds. The "
                f"nearest way of placing them is off by {off:.0%} of what outputs vary. Check that it is this "
                f"network's, and gives what that gives (logits, not probabilities). {_ALONE}"
            )
    return _placed(_fill(module, chosen), chosen)


def refuse_other_shapes(found: Sequence[Weight], network: nn.Module, *, subject: str) -> None:
    """Refuse a program whose graph does not show as many weights of each shape as a network has."""
    shapes = [tensor.shape for _, tensor, _ in tensors_of(network)]
    for shape in dict.fromkeys(shapes):
        there, wanted = len(_readings(found, shape)), shapes.count(shape)
        if there < wanted:
            raise InvalidInput(
                f"{subject}: a program's graph must show all weights of the network. Of shape {tuple(shape)} the "
                f"network has {wanted}, the graph {there} (normalisation may be folded into the layer before it). "
                f"{_ALONE}"
            )


_ALONE = (
    "Give the released weights as safetensors, or audit the program by itself: leaq audit FILE --members ... "
    "--nonmembers ..."
)


def _readings(found: Sequence[Weight], shape: torch.Size) -> list[Weight]:
    """Return the weights of a shape in the graph's order, each in the way its operator says if that has the shape."""
    ways = (next((way for way in _ways(one) if way.value.shape == shape), None) for one in found)
    return [way for way in ways if way is not None]


Change = Callable[[Mapping[str, Weight]], dict[str, Weight]]


def _changes(found: Sequence[Weight], names: Mapping[str, torch.Size]) -> list[Change]:
    """Return what may be tried: two weights of one shape exchanged, another one of the graph, a square one turned."""

    def exchanged(first: str, second: str, chosen: Mapping[str, Weight]) -> dict[str, Weight]:
        return {**chosen, first: chosen[second], second: chosen[first]}

    def replaced(name: str, by: Weight, chosen: Mapping[str, Weight]) -> dict[str, Weight]:
        return {**chosen, name: by}

    def turned(name: str, chosen: Mapping[str, Weight]) -> dict[str, Weight]:
        *_, other = _ways(chosen[name])
        return {**chosen, name: other}

    changes: list[Change] = []
    for name, shape in names.items():
        alike = [other for other in names if names[other] == shape]
        readings = _readings(found, shape)
        changes += [partial(exchanged, name, other) for other in alike[alike.index(name) + 1 :]]
        if len(readings) > len(alike):
            changes += [partial(replaced, name, reading) for reading in readings]
        if len(shape) == 2 and shape[0] == shape[1]:
            changes.append(partial(turned, name))
    return changes[:MOST]


def _ways(weight: Weight) -> Iterator[Weight]:
    """Yield a weight as a linear layer keeps it and, of two axes, turned: a bare matrix is multiplied as it is."""
    yield weight
    if weight.value.ndim == 2:
        yield replace(weight, value=weight.value.T, step=None if weight.step is None else weight.step.T)


def _filled(original: nn.Module, chosen: Mapping[str, Weight]) -> nn.Module:
    return _fill(copy.deepcopy(original).float().eval(), chosen)


def _fill(module: nn.Module, chosen: Mapping[str, Weight]) -> nn.Module:
    with torch.no_grad():
        for name, tensor, _ in tensors_of(module):
            if name in chosen:
                tensor.copy_(chosen[name].value)
    return module
