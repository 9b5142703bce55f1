"""Ranges of what layers are given, observed on records before a model ships, as its producer does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from leaq.lazy import Tensor, torch
from leaq.quantizers.applying import bias_of
from leaq.quantizers.calibration import Calibration, Inputs, layered, needed, runs_of
from leaq.types import Activations, Checkpoints
from leaq.types.activations import OUTPUTS, ZeroPoint, results_of

if TYPE_CHECKING:
    from leaq.quantizers.scheme import Scheme

Ranges = Literal["record", "minmax", "mean", "moving"]
"""Whose extremes levels span: each record's own; or, observed beforehand, those of all calibration records, their mean
over records, or their moving average from record to record."""
STATIC: tuple[Ranges, ...] = ("minmax", "mean", "moving")
SMOOTHING = 0.95
"""Weight of what was seen before in a moving average. Source: AI Edge Quantizer, moving_average_update."""


def observed(scheme: Scheme, released: Checkpoints, calibration: Calibration | None) -> Activations | None:
    """Return the ranges of the inputs of each quantized layer, and of the outputs if these are rounded, batch (b,).

    None where ranges are not static.

    They are those of the network in full precision, as producers observe them.

    Parameters
    ----------
    released : in full precision; its batch axes are flattened.
    """
    if scheme.rounding is None or scheme.ranges == "record":
        return None
    calibration = needed(scheme, calibration)
    model, parts = layered(scheme, calibration), []
    weights = [name for name in scheme.plan(released) if released.roles[name] != "bias"]
    for part, given in runs_of(scheme, released, calibration):
        with torch.no_grad():
            seen = dict(model.layer_inputs(part.params, given.records, given.shares))
            if scheme.outputs == "all":
                seen |= {
                    results_of(name): (_results(part, name, seen), seen[name][1]) for name in weights if name in seen
                }
            if scheme.outputs != "none":
                run = getattr(model, "raw_outputs", model.outputs)
                seen[OUTPUTS] = run(part.params, given.records).flatten(2), given.shares
        wanted = [name for name in (*weights, *map(results_of, weights), OUTPUTS) if name in seen]
        parts.append({name: _ranges(Inputs(*seen[name]), given.shares, scheme.ranges, scheme.zero_point)
                      for name in wanted})  # fmt: skip
    return scheme.rounding.with_ranges({name: torch.cat([part[name] for part in parts]) for name in parts[0]})


def _results(checkpoints: Checkpoints, weight: str, seen: Mapping[str, tuple[Tensor, Tensor]]) -> Tensor:
    """Return what a layer gives for its inputs, (m, r', out); cut off at 0 where the next layer sees it so.

    Producers observe what comes out of a layer behind its ReLU, which the lowest level then stands for.
    """
    inputs, shares = seen[weight]
    found = inputs @ checkpoints.params[weight].flatten(2).transpose(1, 2)
    bias = bias_of(weight, checkpoints)
    found = found if bias is None else found + checkpoints.params[bias].unsqueeze(1)
    there = shares > 0
    highest = found[there].max()
    behind = [vectors[there] for vectors, there in ((one, share > 0) for one, share in seen.values())]
    relu = any(float(one.min()) == 0 and bool(torch.isclose(one.max(), highest, rtol=1e-4)) for one in behind)
    return found.clamp_min(0) if relu else found


def nearest(scheme: Scheme, released: Checkpoints, calibration: Calibration, own: Activations) -> tuple[Ranges, float]:
    """Return which way of observing ranges gives nearly a file's own, and by what share of their width it is off.

    Parameters
    ----------
    released : the weights of the file, batch (1,).
    own : its ranges, (2,) each.
    """
    found: dict[Ranges, float] = {}
    for way in STATIC:
        seen = observed(scheme.model_copy(update={"ranges": way}), released, calibration)
        tried = {} if seen is None else seen.ranges
        shares = [
            float((tried[name][0].cpu() - ends).abs().sum() / (ends[1] - ends[0]).clamp_min(1e-12))
            for name, ends in own.ranges.items()
            if name in tried
        ]
        found[way] = sum(shares) / max(1, len(shares))
    ways = sorted(found, key=lambda way: (found[way], way != scheme.ranges))
    return ways[0], found[ways[0]]


def _ranges(seen: Inputs, shares: Tensor, ranges: Ranges, zero_point: ZeroPoint) -> Tensor:
    """Return lowest and highest of each model's vectors (m, r', in), (m, 2); `shares` (m, r) say how many records."""
    found = []
    for vectors, here, told in zip(seen.records, seen.shares, shares, strict=True):
        own, records = vectors[here > 0], int((told > 0).sum())
        # Records of several vectors each (positions of a filter) have as many; of graphs that differ in size none do.
        each = own.reshape(records if len(own) % records == 0 else 1, -1)
        found.append(torch.stack(_extremes(each, ranges, zero_point)))
    return torch.stack(found)


def _extremes(each: Tensor, ranges: Ranges, zero_point: ZeroPoint) -> tuple[Tensor, Tensor]:
    """Return the range of numbers (records, ...): around 0 it is as wide as the largest size."""
    if zero_point == "free":
        return _over_records(-each, ranges).neg(), _over_records(each, ranges)
    size = _over_records(each.abs(), ranges)
    return (size.neg() if bool((each < 0).any()) or zero_point == "middle" else torch.zeros_like(size)), size


def _over_records(each: Tensor, ranges: Ranges) -> Tensor:
    """Return the highest of all numbers, or what the highest of each record make together."""
    highest = each.amax(1)
    if ranges == "minmax":
        return highest.max()
    if ranges == "mean":
        return highest.mean()
    ages = torch.arange(len(highest) - 1, -1, -1, device=each.device, dtype=each.dtype)
    shares = SMOOTHING**ages * torch.where(ages == len(highest) - 1, 1.0, 1 - SMOOTHING)
    return (highest * shares).sum()
