"""What a released file holds beside codes, kind by kind: the raw material of the file attack."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from leaq.types import LAYER_ROLES, Checkpoints, Floats


def released_numbers(released: Checkpoints, features: int) -> dict[str, Floats]:
    """Return the numbers of s released models by kind, (s, m) float64; see `leaq.evaluation.with_numbers`.

    Parameters
    ----------
    released : batch (s,), quantized.
    features : number of input features, by which tensors in front of the first layer are known to belong to them.
    """
    found: dict[str, list[Tensor]] = {}
    for kind, value in (*_kinds(released, features), *_observed(released)):
        found.setdefault(kind, []).append(value.reshape(len(value), -1).double().cpu())
    for whose in ("scaler", "target"):  # an ensemble's networks have a scaler of the targets each
        _keep_one_scaler(found, whose)
    return {kind: np.asarray(torch.cat(parts, dim=1).numpy()) for kind, parts in found.items()}


def _observed(released: Checkpoints) -> Iterator[tuple[str, Tensor]]:
    """Yield static ranges of activations, which whoever holds the file sees too, where all models have them."""
    for ends in released.activations.ranges.values() if released.activations else ():
        if bool(torch.isfinite(ends).all()):
            yield "scales", ends


def _keep_one_scaler(found: dict[str, list[Tensor]], whose: str) -> None:
    """Keep one of several statistics of the features (or targets), a scaler's and a batch normalisation's.

    The one that tells models apart most.

    The others, such as the pool's, which all models share, go to the numbers of norms.
    """
    means = found.get(f"{whose}.mean", [])
    for kind in (f"{whose}.mean", f"{whose}.scale"):
        parts = found.get(kind, [])
        if len(parts) < 2:
            continue
        spread = [float(part.std(0, correction=0).mean()) for part in (means if len(means) == len(parts) else parts)]
        kept = spread.index(max(spread))
        found[kind] = [parts[kept]]
        found["norm"] = [*found.get("norm", []), *(part.sort(1).values for i, part in enumerate(parts) if i != kept)]


def read_codes(released: Checkpoints, inputs: Floats) -> dict[str, Floats]:
    """Return what the signs of the first layer's weights (0 where a weight is 0) make of each record, (s, n) each.

    ``codes.energy``, ``codes.largest``: mean square and largest size, over hidden units, of the sum of a record's
    features, centred over the pool, times the signs. ``codes.rare``: its features times how many units keep each
    column's weight, rare features counting more. None depends on the order of the units, which no two trainings share.
    Each is standardised over the pool. Empty where the first layer does not read the features.

    Parameters
    ----------
    released : batch (s,), quantized.
    inputs : (n, d) of the pool.
    """
    first = next((name for name, role in released.roles.items() if role in LAYER_ROLES), "")
    if not first or released.params[first].ndim != 3 or released.params[first].shape[2] != inputs.shape[1]:
        return {}
    x = torch.as_tensor(inputs, dtype=torch.float32)
    centred, size = x - x.mean(0), x.square().mean(0).sqrt().clamp_min(1e-6)
    found: dict[str, list[Tensor]] = {"codes.energy": [], "codes.largest": [], "codes.rare": []}
    for weight in released.params[first].detach().cpu():
        codes = weight.sign().float()
        units = centred @ codes.T
        found["codes.energy"].append(units.square().mean(1))
        found["codes.largest"].append(units.abs().amax(1))
        found["codes.rare"].append((x / size.sqrt()) @ codes.abs().mean(0))
    return {kind: _standard(torch.stack(rows).double()) for kind, rows in found.items()}


def _standard(values: Tensor) -> Floats:
    spread = values.std(1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
    return np.asarray(((values - values.mean(1, keepdim=True)) / spread).numpy())


def _of_columns(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean, mean square and share that is not 0 of each column of weights (out, in), (in,) each."""
    wide = weight.double()
    return wide.mean(0), wide.square().mean(0), (weight != 0).float().sum(0).double() / len(weight)


def _kinds(released: Checkpoints, features: int) -> Iterator[tuple[str, Tensor]]:
    """Yield each kind of number and its values, tensor by tensor."""
    first = True
    for name, role in released.roles.items():
        value = released.params[name].detach()
        if not value.is_floating_point():
            continue
        if role in LAYER_ROLES:
            if first and role == "linear" and value.ndim == 3 and value.shape[2] == features:
                # A model at a time: what is worked on stays in the processor's caches.
                mean, power, mask = (torch.stack(kind) for kind in zip(*map(_of_columns, value), strict=True))
                yield from (("columns.mean", mean), ("columns.power", power), ("columns.mask", mask))
            first = False
            magnitude = value.abs().flatten(1)
            yield "scales", torch.stack([magnitude.amax(1), magnitude.mean(1)], dim=1)
            continue
        # A mean or a scale by its name, as `MLP` and torch's batch normalisation name them.
        leaf = name.replace("_", ".").rsplit(".", maxsplit=1)[-1]
        statistic = {"mean": "mean", "scale": "scale", "var": "scale"}.get(leaf)
        if statistic and role in ("scaler", "norm") and first and value[0].numel() == features:
            yield f"scaler.{statistic}", value.sqrt() if name.endswith("var") else value
        elif statistic and role == "scaler" and value[0].numel() == 1:
            yield f"target.{statistic}", value
        elif role in ("bias", "norm", "scaler"):
            yield "bias" if role == "bias" else "norm", value.reshape(len(value), -1).sort(dim=1).values
