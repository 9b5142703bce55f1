"""Weights without names, such as those of a graph, given to the parameters they are nearest to."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from leaq.errors import InvalidInput
from leaq.models.formats.weight import Weight, unlike
from leaq.models.roles import tensors_of


@dataclass(frozen=True)
class Placed:
    """The original with the weights that were found, the forms quantized ones were stored in, and what was not found.

    Attributes
    ----------
    module : None unless every weight of the original (of two axes or more) was found.
    """

    module: nn.Module | None
    stored: dict[str, str]
    missing: tuple[str, ...]


def place(found: Sequence[Weight], original: nn.Module, *, subject: str) -> Placed:
    """Give each parameter the weight of its shape that is nearest to it and near it.

    Raises
    ------
    InvalidInput
        If weights of all shapes are there and none is near the original's: the file is another model's.
    """
    left = list(found)
    chosen: dict[str, Weight] = {}
    missing, foreign = [], []
    for name, tensor, _ in tensors_of(original):
        wanted = tensor.detach().cpu().float() if not tensor.is_complex() else tensor.detach().cpu()
        alike = [(one, way) for one in left for way in _ways(one) if way.value.shape == wanted.shape]
        off = [float((way.value - wanted).abs().square().sum()) for _, way in alike]
        source, best = alike[off.index(min(off))] if off else (None, None)
        problem = "" if best is None else unlike(best, wanted)
        if source is not None and best is not None and not problem:
            chosen[name] = best
            left.remove(source)
            continue
        if tensor.ndim > 1:
            missing.append(name)
            foreign += [f"{name} {problem}"] if best is not None else []
    weights = [name for name, tensor, _ in tensors_of(original) if tensor.ndim > 1]
    if weights and foreign and not any(name in chosen for name in weights):
        raise InvalidInput(
            f"{subject}: what a file holds must be near the original that it was made from. {foreign[0]}. Give the "
            "original of this file, or audit the file by itself."
        )
    stored = {name: weight.form for name, weight in chosen.items() if weight.form and weight.value.ndim > 1}
    module = None if missing or not weights else _filled(original, chosen)
    return Placed(module, stored, tuple(missing))


def _ways(weight: Weight) -> Iterator[Weight]:
    """Yield a weight as a linear layer keeps it and, of two axes, turned: a bare matrix is multiplied as it is."""
    yield weight
    if weight.value.ndim == 2:
        yield replace(weight, value=weight.value.T, step=None if weight.step is None else weight.step.T)


def _filled(original: nn.Module, chosen: dict[str, Weight]) -> nn.Module:
    module = copy.deepcopy(original).float().eval()
    with torch.no_grad():
        for name, tensor, _ in tensors_of(module):
            if name in chosen:
                tensor.copy_(chosen[name].value)
    return module
