"""What a released file holds beside codes, kind by kind: the raw material of the file attack."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from leaq.types import LAYER_ROLES, Checkpoints, Floats

__all__ = ["released_numbers"]


def released_numbers(released: Checkpoints, features: int) -> dict[str, Floats]:
    """Return the numbers of s released models by kind, (s, m) float64; see `leaq.evaluation.with_numbers`.

    Parameters
    ----------
    released : batch (s,), quantized.
    features : number of input features, by which tensors in front of the first layer are known to belong to them.
    """
    found: dict[str, list[Tensor]] = {}
    for kind, value in _kinds(released, features):
        found.setdefault(kind, []).append(value.reshape(len(value), -1).double().cpu())
    return {kind: np.asarray(torch.cat(parts, dim=1).numpy()) for kind, parts in found.items()}


def _kinds(released: Checkpoints, features: int) -> Iterator[tuple[str, Tensor]]:
    """Yield each kind of number and its values, tensor by tensor."""
    first = True
    for name, role in released.roles.items():
        value = released.params[name].detach()
        if not value.is_floating_point():
            continue
        if role in LAYER_ROLES:
            if first and role == "linear" and value.ndim == 3 and value.shape[2] == features:
                yield "columns.mean", value.double().mean(1)
                yield "columns.power", value.double().square().mean(1)
                yield "columns.mask", (value != 0).double().mean(1)
            first = False
            magnitude = value.abs().flatten(1)
            yield "scales", torch.stack([magnitude.amax(1), magnitude.mean(1)], dim=1)
            continue
        statistic = _statistic(name)
        if statistic and role in ("scaler", "norm") and first and value[0].numel() == features:
            yield f"scaler.{statistic}", value.sqrt() if name.endswith("var") else value
        elif statistic and role == "scaler" and value[0].numel() == 1:
            yield f"target.{statistic}", value
        elif role in ("bias", "norm", "scaler"):
            yield "bias" if role == "bias" else "norm", value.reshape(len(value), -1).sort(dim=1).values


def _statistic(name: str) -> str | None:
    """Return whether a tensor is a mean or a scale by its name, as `MLP` and torch's batch normalisation name them."""
    leaf = name.replace("_", ".").rsplit(".", maxsplit=1)[-1]
    return {"mean": "mean", "scale": "scale", "var": "scale"}.get(leaf)
