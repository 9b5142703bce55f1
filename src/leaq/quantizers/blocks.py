"""Views of stacked weights as blocks that share one scale, and the small arithmetic blocks need.

Shapes: stacked weights ``(b, *shape)`` -> blocks ``(b, blocks, size)``. A channel is one output: the first axis of
a Linear or Conv weight, one row of an Embedding. A group is a run of `group` inputs inside a channel.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Literal

import numpy as np

from leaq.lazy import Tensor, torch

Per = Literal["tensor", "channel", "group"]

TILE = 2**19
"""Numbers worked on at once: two megabytes of float32. Fewer cost more in calls than they save in the cache."""


def into_blocks(tensor: Tensor, per: Per, group: int) -> Tensor:
    """View (b, *shape) as (b, blocks, size): one scale a block. The last group is padded with copies."""
    if per == "tensor":
        return tensor.flatten(1).unsqueeze(1)
    rows = tensor.flatten(2) if tensor.ndim > 2 else tensor.unsqueeze(1)  # (b, out, in)
    if per == "channel":
        return rows
    missing = -rows.shape[-1] % group
    if missing:
        rows = torch.cat([rows, rows[..., -1:].expand(*rows.shape[:-1], missing)], dim=-1)
    return rows.reshape(rows.shape[0], -1, group)


def whole(blocks: Tensor, per: Per, shape: torch.Size) -> Tensor:
    """Undo `into_blocks`, dropping the padding: (b, blocks, size) -> (b, *shape)."""
    if per != "group":
        return blocks.reshape(shape)
    rows = shape[1] if len(shape) > 2 else 1
    return blocks.reshape(shape[0], rows, -1)[..., : prod(shape[1:]) // rows].reshape(shape)


def axes(weight: Tensor, per: str) -> tuple[int, ...]:
    """Axes that share a scale: everything but the model axis, or also but the output channel."""
    return tuple(range(2 if per == "channel" and weight.ndim > 2 else 1, weight.ndim))


def positive(step: Tensor) -> Tensor:
    """Replace a zero step (an all-zero or constant block) by 1, which still represents it exactly; NaN stays NaN."""
    return step.masked_fill(step == 0, 1)


def normal(scale: Tensor) -> bool:
    """Whether no scale is so small that it has lost digits (a subnormal number)."""
    return float(scale.amin()) >= torch.finfo(scale.dtype).tiny


def extremes(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lowest and the highest weight of each block; two reductions, since aminmax along an axis is slow."""
    return blocks.amin(-1, keepdim=True), blocks.amax(-1, keepdim=True)


def percentiles(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Return the 0.1 and 99.9 percentiles of each block; sorting, since torch.quantile refuses large inputs."""
    ordered = blocks.sort(dim=-1).values
    last = blocks.shape[-1] - 1
    return ordered[..., [round(0.001 * last)]], ordered[..., [round(0.999 * last)]]


def order_statistic(rows: Tensor, place: int) -> Tensor:
    """Return the number at a place of each sorted row, (b, n) -> (b, 1), counted from 0.

    Of one long row numpy's selection works on a single copy, where torch's keeps three times as much in positions.

    Examples
    --------
    >>> order_statistic(torch.tensor([[3.0, 1.0, 2.0]]), 1)
    tensor([[2.]])
    """
    if rows.device.type == "cpu" and rows.dtype in (torch.float32, torch.float64) and rows.shape[1] > TILE:
        found = [np.partition(row.numpy(), place)[place] for row in rows]
        return torch.tensor(np.stack(found)).unsqueeze(1)
    return rows.kthvalue(place + 1, dim=1, keepdim=True).values


def tiles(models: int, each: int, *, repeat: int = 1, most: int = TILE) -> Iterator[tuple[slice, slice]]:
    """Cut a stack of `models` tensors of `each` numbers into cache-sized runs.

    Yields the run and the slice of the scales that belong to it. With ``repeat > 1`` consecutive `repeat` tensors
    share one set of scales; a run then never crosses two sets, so that the scales broadcast and are never copied.

    Examples
    --------
    >>> list(tiles(4, 2**18))
    [(slice(0, 2, None), slice(0, 2, None)), (slice(2, 4, None), slice(2, 4, None))]
    >>> list(tiles(4, 1, repeat=2))
    [(slice(0, 2, None), slice(0, 1, None)), (slice(2, 4, None), slice(1, 2, None))]
    """
    size = max(1, most // max(1, each))
    if repeat == 1:
        for start in range(0, models, size):
            run = slice(start, min(start + size, models))
            yield run, run
        return
    for first in range(0, models, repeat):
        for start in range(first, first + repeat, size):
            index = first // repeat
            yield slice(start, min(start + size, first + repeat)), slice(index, index + 1)
