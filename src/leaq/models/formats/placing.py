"""Weights without names, such as those of a graph, given to the parameters they are nearest to."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

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
        alike = [one for one in left if one.value.shape == wanted.shape]
        off = [float((one.value - wanted).abs().square().sum()) for one in alike]
        best = alike[off.index(min(off))] if off else None
        problem = "" if best is None else unlike(best, wanted)
        if best is not None and not problem:
            chosen[name] = best
            left.remove(best)
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


def _filled(original: nn.Module, chosen: dict[str, Weight]) -> nn.Module:
    module = copy.deepcopy(original).float().eval()
    with torch.no_grad():
        for name, tensor, _ in tensors_of(module):
            if name in chosen:
                tensor.copy_(chosen[name].value)
    return module
