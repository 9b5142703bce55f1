"""Some records at a time, in whatever form a model takes them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Some records: what the model takes (tensor, tuple, mapping or any object), targets (n, ...), and their number.

    `name` says which batch it is of a user's records, for messages; empty where records are leaq's own.
    """

    inputs: Any
    targets: Tensor
    n: int
    name: str = ""


def mapped(value: Any, to: Callable[[Any], Any]) -> Any:
    """Return the same nest of inputs with everything in it changed; lists become tuples."""
    if isinstance(value, Mapping):
        return {key: mapped(item, to) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return tuple(mapped(item, to) for item in value)
    return to(value)


def flat(inputs: Any) -> list[Any]:
    """Return the inputs of a batch as a flat list."""
    if isinstance(inputs, Mapping):
        return list(inputs.values())
    return list(inputs) if isinstance(inputs, tuple | list) else [inputs]


def cut(batch: Batch, rows: int) -> list[Batch]:
    """Return a batch as batches of so many records; whole, where its inputs are not all one row a record.

    Examples
    --------
    >>> [part.n for part in cut(Batch((torch.zeros(5, 2), torch.ones(5)), torch.zeros(5), 5), 2)]
    [2, 2, 1]
    """
    if batch.n <= rows or not all(isinstance(part, Tensor) and len(part) == batch.n for part in leaves(batch.inputs)):
        return [batch]
    wanted = [slice(start, start + rows) for start in range(0, batch.n, rows)]
    return [
        Batch(mapped(batch.inputs, itemgetter(some)), batch.targets[some], len(batch.targets[some]), batch.name)
        for some in wanted
    ]


def leaves(inputs: Any) -> Iterator[Any]:
    """Yield everything in a nest of inputs."""
    if isinstance(inputs, Mapping | tuple | list):
        for item in inputs.values() if isinstance(inputs, Mapping) else inputs:
            yield from leaves(item)
    else:
        yield inputs


def move(batch: Batch, device: torch.device) -> Batch:
    """Return the batch on the device of the model."""
    inputs = mapped(batch.inputs, lambda item: to_device(item, device))
    return Batch(inputs, batch.targets.to(device), batch.n, batch.name)


def to_device(item: Any, device: torch.device) -> Any:
    """Move anything that can be moved; an object that moves itself in place returns nothing."""
    moved = item.to(device) if hasattr(item, "to") else item
    return item if moved is None else moved


def shapes_of(inputs: Any) -> str:
    """Say what the inputs of a batch are: types and shapes."""
    parts = [
        f"{str(part.dtype).removeprefix('torch.')} {tuple(part.shape)}"
        if isinstance(part, Tensor)
        else type(part).__name__
        for part in flat(inputs)
    ]
    return ", ".join(parts)
