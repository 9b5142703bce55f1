"""Members and non-members in whatever form the user has them, as batches read once.

A loader is walked a single time and its batches are kept: one that shuffles would otherwise give every quantizer
another order of records, and losses of the same record could not be compared.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from leaq.errors import InvalidInput, first_rows
from leaq.types import Floats, Ints

__all__ = ["Batch", "Records", "groups_of", "overlap_of", "read_records"]

BATCH = 512
"""Records of an array that go through the model at once."""
WIDEST = 256
"""Input columns that the comparison of members and non-members looks at, evenly picked."""


@dataclass(frozen=True)
class Batch:
    """Some records: what the model takes (tensor, tuple, mapping or any object), targets (n, ...) and their number."""

    inputs: Any
    targets: Tensor
    n: int


@dataclass(frozen=True)
class Records:
    """All records of one kind, in a fixed order.

    Attributes
    ----------
    batches : in order; targets keep their type.
    features : (n, d) inputs as plain numbers for comparing distributions, None where they are not arrays.
    keys : (n,) fingerprint of each record's input, equal exactly for equal inputs; None like `features`.
    """

    batches: tuple[Batch, ...]
    features: Floats | None
    keys: Ints | None

    def __len__(self) -> int:
        return sum(batch.n for batch in self.batches)

    @property
    def targets(self) -> npt.NDArray[Any]:
        """Targets of all records (n, ...)."""
        return np.concatenate([batch.targets.detach().cpu().numpy() for batch in self.batches])


def read_records(data: Any, *, name: str, columns: tuple[str, ...] = (), target: str | None = None) -> Records:
    """Read arrays, tensors, a data loader, a torch data set or a Hugging Face data set.

    Parameters
    ----------
    data : ``(inputs, targets)``, where inputs may also be a tuple or mapping of arrays (several arguments of the model:
        node features and adjacency of graphs), a mapping with "x" and "y", an iterable of batches
        ``(inputs, targets)`` (or objects with `y`), a data set of single records, or anything with named columns.
    name : "members" or "nonmembers", for messages.
    columns, target : of a data set with named columns: the input columns, and the target.

    Raises
    ------
    InvalidInput
        With what was found and the forms that are read.
    """
    if isinstance(data, Mapping) and {"x", "y"} <= set(data):
        data = (data["x"], data["y"])
    if hasattr(data, "column_names") and hasattr(data, "__getitem__"):
        batches = list(_columns(data, name, columns, target))
    elif isinstance(data, Mapping):
        raise InvalidInput(f"{name}: a mapping must hold 'x' and 'y'. Found {', '.join(map(repr, data)) or 'nothing'}.")
    elif isinstance(data, tuple | list) and len(data) == 2 and (_is_array(data[0]) or _is_nest(*data)):
        batches = list(_arrays(data[0], data[1], name))
    elif _is_loader(data):
        batches = list(_loader(data, name))
    else:
        batches = list(_dataset(data, name))
    total = sum(batch.n for batch in batches)
    if total < 1:
        raise InvalidInput(f"{name}: there must be at least one record. Found none.")
    _refuse_bad_numbers(batches, name)
    features = _features(batches)
    return Records(tuple(batches), None if features is None else _narrow(features), _keys(features))


def _is_loader(data: Any) -> bool:
    """Tell what yields batches from a data set of single records."""
    if isinstance(data, list):
        return bool(data) and _looks_like_batches(data)
    return hasattr(data, "batch_size") or isinstance(data, Iterator) or not hasattr(data, "__getitem__")


def _is_array(value: Any) -> bool:
    return isinstance(value, Tensor | np.ndarray) or hasattr(value, "to_numpy") or hasattr(value, "toarray")


def _is_nest(inputs: Any, targets: Any) -> bool:
    """Tell several inputs with targets from two batches or two records."""
    parts = list(inputs.values()) if isinstance(inputs, Mapping) else inputs
    nested = isinstance(inputs, Mapping | tuple | list) and len(parts) > 0
    return nested and _is_array(targets) and all(_is_array(part) for part in parts)


def _tensors(inputs: Any) -> list[Any]:
    """Return the inputs of a batch as a flat list."""
    if isinstance(inputs, Mapping):
        return list(inputs.values())
    return list(inputs) if isinstance(inputs, tuple | list) else [inputs]


def _tensor(values: Any) -> Tensor:
    """Turn numbers in any container into a tensor; 64-bit floats become 32-bit, as models expect."""
    if isinstance(values, Tensor):
        return values.detach()
    if hasattr(values, "toarray"):
        values = values.toarray()
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise InvalidInput(
            f"Inputs and targets must be numbers. Found {array.dtype}. Encode texts and categories first; "
            "texts for a language model go through leaq.audit(..., tokenizer=...)."
        )
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    if array.dtype.kind in "ui":
        array = array.astype(np.int64)
    return torch.tensor(array)


def _arrays(inputs: Any, targets: Any, name: str) -> Iterator[Batch]:
    x, y = (_tensor(inputs) if _is_array(inputs) else _moved(inputs, _tensor)), _tensor(targets)
    if y.ndim == 0 or any(part.ndim == 0 or len(part) != len(y) for part in _tensors(x)):
        shapes = ", ".join(str(tuple(part.shape)) for part in _tensors(x))
        raise InvalidInput(
            f"{name}: inputs and targets must be equally long. Found shapes {shapes} and {tuple(y.shape)}."
        )
    for start in range(0, len(y), BATCH):
        rows = slice(start, start + BATCH)
        yield Batch(_moved(x, itemgetter(rows)), y[rows], len(y[rows]))


def _loader(data: Iterable[Any], name: str) -> Iterator[Batch]:
    try:
        iterator = iter(data)
    except TypeError:
        raise _unreadable(data, name) from None
    for batch in iterator:
        if isinstance(batch, tuple | list) and len(batch) >= 2:
            inputs = batch[0] if len(batch) == 2 else tuple(batch[:-1])
            yield _batch(inputs, batch[-1])
        elif isinstance(batch, Mapping):
            yield _mapping(batch, name, (), None)
        elif hasattr(batch, "y"):  # a batch of graphs
            yield _batch(batch, batch.y)
        else:
            raise _unreadable(batch, f"{name}: a batch")


def _batch(inputs: Any, targets: Any) -> Batch:
    y = _tensor(targets)
    if y.ndim == 0:
        y = y[None]
    if isinstance(inputs, tuple | list):
        inputs = tuple(_tensor(part) if _is_array(part) else part for part in inputs)
    elif _is_array(inputs) or isinstance(inputs, list):
        inputs = _tensor(inputs)
    return Batch(inputs, y, len(y))


def _mapping(batch: Mapping[str, Any], name: str, columns: tuple[str, ...], target: str | None) -> Batch:
    known = [str(key) for key in batch]
    found = target or next((key for key in ("labels", "label", "targets", "target", "y") if key in known), None)
    if found is None or found not in known:
        raise InvalidInput(f"{name}: name the target column with target=... Columns: {', '.join(known)}.")
    named = columns or tuple(key for key in known if key != found)
    inputs = {key: _tensor(batch[key]) for key in named}
    # One column is the model's only argument; several are its named arguments.
    return _batch(next(iter(inputs.values())), batch[found]) if len(inputs) == 1 else _batch(inputs, batch[found])


def _columns(data: Any, name: str, columns: tuple[str, ...], target: str | None) -> Iterator[Batch]:
    for start in range(0, len(data), BATCH):
        yield _mapping(data[start : min(start + BATCH, len(data))], name, columns, target)


def _looks_like_batches(data: list[Any]) -> bool:
    first = data[0]
    if hasattr(first, "y") and not _is_array(first):
        return True
    return isinstance(first, tuple | list) and len(first) >= 2 and _is_array(first[-1]) and _tensor(first[-1]).ndim > 0


def _dataset(data: Any, name: str) -> Iterator[Batch]:
    from torch.utils.data import default_collate

    try:
        total = len(data)
        for start in range(0, total, BATCH):
            rows = [data[i] for i in range(start, min(start + BATCH, total))]
            yield from _loader([default_collate(rows)], name)
    except TypeError:
        raise _unreadable(data, name) from None


def _unreadable(data: Any, name: str) -> InvalidInput:
    return InvalidInput(
        f"{name}: needs a pair (inputs, targets), a data loader, a torch data set or a data set with named columns. "
        f"Found {type(data).__name__}."
    )


def _refuse_bad_numbers(batches: list[Batch], name: str) -> None:
    start = 0
    for batch in batches:
        for tensor in (*_tensors(batch.inputs), batch.targets):
            if isinstance(tensor, Tensor) and tensor.is_floating_point() and not torch.isfinite(tensor).all():
                rows = ~torch.isfinite(tensor).flatten(1 if tensor.ndim > 1 else 0)
                rows = rows.any(1) if rows.ndim > 1 else rows
                bad = (rows.nonzero().flatten() + start).tolist()
                raise InvalidInput(
                    f"{name}: numbers must be finite. Found NaN or infinite ones in {first_rows(bad)}, counted from 0."
                )
        start += batch.n


def _features(batches: list[Batch]) -> Floats | None:
    """Return the inputs of all records as one matrix, if they are tensors with one row a record."""
    parts = []
    for batch in batches:
        tensors = _tensors(batch.inputs)
        if not tensors or not all(isinstance(t, Tensor) and t.ndim > 0 and len(t) == batch.n for t in tensors):
            return None
        parts.append(torch.cat([t.detach().cpu().reshape(batch.n, -1).double() for t in tensors], dim=1).numpy())
    if len({part.shape[1] for part in parts}) != 1:
        return None
    return np.concatenate(parts)


def _narrow(features: Floats) -> Floats:
    d = features.shape[1]
    return features if d <= WIDEST else features[:, np.linspace(0, d - 1, WIDEST).astype(int)]


def _keys(features: Floats | None) -> Ints | None:
    if features is None:
        return None
    rows = np.ascontiguousarray(features)
    digests = (hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows)
    return np.array([int.from_bytes(digest, "little", signed=True) for digest in digests], dtype=np.int64)


def overlap_of(members: Records, nonmembers: Records) -> Ints | None:
    """Return which non-members have an input that is also a member's, None where inputs cannot be compared."""
    if members.keys is None or nonmembers.keys is None:
        return None
    return np.flatnonzero(np.isin(nonmembers.keys, members.keys)).astype(np.int64)


def groups_of(members: Records, nonmembers: Records) -> Ints:
    """Return (n,) one number a distinct input, so that intervals resample equal records together."""
    if members.keys is None or nonmembers.keys is None:
        return np.arange(len(members) + len(nonmembers), dtype=np.int64)
    _, code = np.unique(np.r_[members.keys, nonmembers.keys], return_inverse=True)
    return code.astype(np.int64)


def move(batch: Batch, device: torch.device) -> Batch:
    """Return the batch on the device of the model."""
    inputs = _moved(batch.inputs, lambda item: item.to(device) if hasattr(item, "to") else item)
    return Batch(inputs, batch.targets.to(device), batch.n)


def _moved(value: Any, to: Callable[[Any], Any]) -> Any:
    if isinstance(value, Mapping):
        return {key: _moved(item, to) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return tuple(_moved(item, to) for item in value)
    return to(value)
