"""Members and non-members in whatever form the user has them, as batches read once.

A loader is walked a single time and its batches are kept: one that shuffles would otherwise give every quantizer
another order of records, and losses of the same record could not be compared.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from leaq.data.columns import refuse_repeated
from leaq.data.matching import same_rows
from leaq.data.memory import as_frame_of, is_frame, refuse_other_order
from leaq.data.reading import Reading
from leaq.errors import InvalidInput, LeaqError, first_rows, reason_of, some
from leaq.evaluation.batches import Batch, cut, flat, mapped
from leaq.pipeline.finished.arrays import is_array, is_numbers, tensor_of
from leaq.types import Floats, Ints

BATCH = 512
"""Records of an array that go through the model at once."""
TARGETS = ("labels", "label", "targets", "target", "y")
"""Names, in any case, under which batches and data sets hold their targets."""
WIDEST = 256
"""Input columns that the comparison of members and non-members looks at, evenly picked."""


_as_inputs = partial(tensor_of, double=True)


@dataclass(frozen=True)
class Records:
    """All records of one kind, in a fixed order.

    Attributes
    ----------
    batches : in order; targets keep their type.
    features : (n, d) inputs as plain numbers for comparing distributions, None where they are not arrays.
    keys : (n,) fingerprint of each record's input, equal exactly for equal inputs; None like `features`.
    names : of several targets, where they have any.
    columns : of the inputs, where they come as a frame.
    """

    batches: tuple[Batch, ...]
    features: Floats | None
    keys: Ints | None
    names: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()

    def __len__(self) -> int:
        return sum(batch.n for batch in self.batches)

    def changed(
        self, *, inputs: Callable[[Any], Any] | None = None, targets: Callable[[Tensor], Tensor] | None = None
    ) -> Self:
        """Return the same records with every batch's inputs or targets in another form."""
        batches = tuple(
            replace(
                batch,
                inputs=batch.inputs if inputs is None else mapped(batch.inputs, inputs),
                targets=batch.targets if targets is None else targets(batch.targets),
            )
            for batch in self.batches
        )
        return replace(self, batches=batches)

    def cut(self, rows: int) -> Self:
        """Return the same records in batches of at most so many, where they can be parted."""
        return replace(self, batches=tuple(part for batch in self.batches for part in cut(batch, rows)))

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
    columns, target : of a data set with named columns: the input columns, and the target, or several with commas
        between them.

    Raises
    ------
    InvalidInput
        With what was found and the forms that are read.
    """
    try:
        data = pair_of(data, name, columns, target)
        found = enumerate(_batches(data, name, columns, target), start=1)
        batches = [replace(batch, name=f"batch {number} of the {name}") for number, batch in found]
    except LeaqError:
        raise
    except Exception as err:  # whatever the user's loader, or an array of odd parts, raises
        raise InvalidInput(f"{name}: the records must be readable. Reading them raised {reason_of(err)}.") from err
    total = sum(batch.n for batch in batches)
    if total < 1:
        raise InvalidInput(f"{name}: there must be at least one record. Found none.")
    _refuse_bad_numbers(batches, name)
    features = _features(batches)
    keys = None if features is None else digests_of(features)
    if features is not None and (d := features.shape[1]) > WIDEST:
        features = features[:, np.linspace(0, d - 1, WIDEST).astype(int)]
    inputs, targets = data if isinstance(data, tuple | list) and len(data) == 2 else (None, None)
    names, columns = (tuple(map(str, getattr(part, "columns", ()))) for part in (targets, inputs))
    return Records(tuple(batches), features, keys, names, columns)


def digests_of(arrays: Iterable[npt.NDArray[Any]]) -> Ints:
    """Return one number an array, equal exactly for equal ones."""
    digests = (hashlib.blake2b(array.tobytes(), digest_size=8).digest() for array in arrays)
    return np.array([int.from_bytes(digest, "little", signed=True) for digest in digests], dtype=np.int64)


def refuse_other_columns(members: Records, nonmembers: Records) -> None:
    """Refuse members and non-members whose columns, of inputs or of targets, are not the same in one order.

    A model takes its inputs by position: the same columns in another order are other inputs.
    """
    for what, ours, theirs in (
        ("input", members.columns, nonmembers.columns),
        ("target", members.names, nonmembers.names),
    ):
        if not ours or not theirs or ours == theirs:
            continue
        more = [f"of the {name} alone {some(list(map(repr, found)), 5)}" for name, found in (
            ("members", [column for column in ours if column not in theirs]),
            ("nonmembers", [column for column in theirs if column not in ours]),
        ) if found]  # fmt: skip
        found = "; ".join(more) or "the same columns in another order"
        remedy = "Name them in the model's order with columns=" if what == "input" else "Name them with target="
        raise InvalidInput(
            f"members, nonmembers: the {what} columns must be the same in one order, the model's. Found {found}. "
            f"{remedy}, or give both tables alike."
        )


def _batches(data: Any, name: str, columns: tuple[str, ...], target: str | None) -> Iterator[Batch]:
    """Yield the batches of whatever holds the records."""
    if hasattr(data, "column_names") and hasattr(data, "__getitem__"):
        for start in range(0, len(data), BATCH):
            yield _mapping(data[start : min(start + BATCH, len(data))], name, columns, target)
    elif isinstance(data, Mapping):
        raise InvalidInput(f"{name}: a mapping must hold 'x' and 'y'. Found {', '.join(map(repr, data)) or 'nothing'}.")
    elif isinstance(data, tuple | list) and len(data) == 2 and _is_pair(*data):
        yield from _arrays(data[0], data[1], name)
    elif _is_loader(data):
        yield from _loader(data, name)
    else:
        yield from _dataset(data, name)


def pair_of(data: Any, name: str, columns: tuple[str, ...] = (), target: str | None = None) -> Any:
    """Return the pair (inputs, targets) of a mapping with x and y, or of a data frame; anything else as it is."""
    for x, y in (("x", "y"), ("X", "y"), ("X", "Y")):
        if isinstance(data, Mapping) and x in data and y in data:
            data = data[x], data[y]
    if isinstance(data, tuple | list) and len(data) == 2:
        refuse_other_order(data[0], data[1], name)
    if hasattr(data, "columns"):  # a table of pyarrow too
        data = as_frame_of(data)
    if is_frame(data):
        return _of_frame(data, name, columns, target)
    return data


def _of_frame(frame: Any, name: str, columns: tuple[str, ...], target: str | None) -> tuple[Any, Any]:
    """Return the input columns of a data frame, all but the targets if none are named, and the target or targets."""
    known = [str(column) for column in frame.columns]
    refuse_repeated(known, name)
    targets = Reading(target=target).targets(known)
    absent = [repr(column) for column in (*columns, *targets) if column not in known]
    if not targets or absent:
        found = f" There is no {', '.join(absent)}." if absent else ""
        raise InvalidInput(
            f"{name}: name the target column of a data frame with target=..., or give a pair (X, y).{found} "
            f"Columns: {', '.join(known)}."
        )
    own = dict(zip(known, frame.columns, strict=True))  # names may be numbers
    taken = [own[column] for column in targets]
    inputs = frame[[own[column] for column in columns or known if column not in targets]]
    return inputs, frame[taken] if len(taken) > 1 else frame[taken[0]]


def _is_loader(data: Any) -> bool:
    """Tell what yields batches from a data set of single records."""
    if isinstance(data, list):
        return bool(data) and _looks_like_batches(data)
    return hasattr(data, "batch_size") or isinstance(data, Iterator) or not hasattr(data, "__getitem__")


def _is_pair(inputs: Any, targets: Any) -> bool:
    """Tell inputs and targets (arrays, lists of numbers, several arrays) from two batches or two records."""
    if is_array(inputs):
        return True
    if is_numbers(inputs, axes=2):
        return is_array(targets) or (is_numbers(targets, axes=1) and len(targets) == len(inputs))
    parts = list(inputs.values()) if isinstance(inputs, Mapping) else inputs
    nested = isinstance(inputs, Mapping | tuple | list) and len(parts) > 0
    return nested and is_array(targets) and all(is_array(part) for part in parts)


def _arrays(inputs: Any, targets: Any, name: str) -> Iterator[Batch]:
    whole = is_array(inputs) or is_numbers(inputs, axes=2)
    x, y = (_as_inputs(inputs) if whole else mapped(inputs, _as_inputs)), tensor_of(targets)
    if y.ndim == 0 or any(part.ndim == 0 or len(part) != len(y) for part in flat(x)):
        shapes = ", ".join(str(tuple(part.shape)) for part in flat(x))
        raise InvalidInput(
            f"{name}: inputs and targets must be equally long. Found shapes {shapes} and {tuple(y.shape)}."
        )
    for start in range(0, len(y), BATCH):
        rows = slice(start, start + BATCH)
        yield Batch(mapped(x, itemgetter(rows)), y[rows], len(y[rows]))


def _loader(data: Iterable[Any], name: str) -> Iterator[Batch]:
    try:
        iterator = iter(data)
    except TypeError:
        raise _unreadable(data, name) from None
    for batch in iterator:
        if _target_field(batch) is not None:
            yield _named(batch, name)
        elif isinstance(batch, tuple | list) and len(batch) >= 2:
            inputs = batch[0] if len(batch) == 2 else tuple(batch[:-1])
            yield _batch(inputs, batch[-1])
        elif isinstance(batch, Mapping):
            yield _mapping(batch, name, (), None)
        elif hasattr(batch, "y"):  # a batch of graphs
            yield _batch(batch, batch.y)
        else:
            raise _unreadable(batch, f"{name}: a batch")


def _target_field(batch: Any) -> str | None:
    """Return which field of a named tuple holds the targets, None for every other batch."""
    fields = getattr(batch, "_fields", ()) if isinstance(batch, tuple) else ()
    return next((field for field in fields if field.lower() in TARGETS and is_array(getattr(batch, field))), None)


def _named(batch: Any, name: str) -> Batch:
    """Read a batch with named fields: what stands before the targets is the model's, weights and masks after it not.

    This is the form of chemprop's loaders: (bmg, V_d, X_d, Y, w, lt_mask, gt_mask).
    """
    field = _target_field(batch)
    at = batch._fields.index(field)
    for other in batch._fields[at + 1 :]:
        mask = getattr(batch, other)
        if isinstance(mask, Tensor) and mask.dtype == torch.bool and bool(mask.any()):
            raise InvalidInput(
                f"{name}: targets must be values. The field {other!r} of a batch marks {int(mask.sum())} of them as "
                "bounds (censored). Leave those records out, or give batches (inputs, targets) and a loss of your own."
            )
    inputs = batch[:at] if at else batch[1:]
    return _batch(inputs[0] if len(inputs) == 1 else tuple(inputs), batch[at])


def _batch(inputs: Any, targets: Any) -> Batch:
    y = tensor_of(targets)
    if y.ndim == 0:
        y = y[None]
    if isinstance(inputs, tuple | list):
        inputs = tuple(_as_inputs(part) if is_array(part) else part for part in inputs)
    elif is_array(inputs) or isinstance(inputs, list):
        inputs = _as_inputs(inputs)
    return Batch(inputs, y, len(y))


def _mapping(batch: Mapping[str, Any], name: str, columns: tuple[str, ...], target: str | None) -> Batch:
    known = [str(key) for key in batch]
    found = target or next((key for name in TARGETS for key in known if key.lower() == name), None)
    if found is None or found not in known:
        raise InvalidInput(f"{name}: name the target column with target=... Columns: {', '.join(known)}.")
    named = columns or tuple(key for key in known if key != found)
    inputs = {key: _as_inputs(batch[key]) for key in named}
    # One column is the model's only argument; several are its named arguments.
    return _batch(next(iter(inputs.values())), batch[found]) if len(inputs) == 1 else _batch(inputs, batch[found])


def _looks_like_batches(data: list[Any]) -> bool:
    first = data[0]
    if _target_field(first) is not None or (hasattr(first, "y") and not is_array(first)):
        return True
    return isinstance(first, tuple | list) and len(first) >= 2 and is_array(first[-1]) and tensor_of(first[-1]).ndim > 0


def _dataset(data: Any, name: str) -> Iterator[Batch]:
    from torch.utils.data import default_collate

    try:
        total = len(data)
        for start in range(0, total, BATCH):
            rows = [data[i] for i in range(start, min(start + BATCH, total))]
            yield from _loader([default_collate(rows)], name)
    except (TypeError, KeyError, IndexError, RuntimeError):  # no records by number, or records that do not stack
        raise _unreadable(data, name) from None


def _unreadable(data: Any, name: str) -> InvalidInput:
    return InvalidInput(
        f"{name}: needs a pair (inputs, targets), a data loader, a torch data set or a data set with named columns. "
        f"Found {type(data).__name__}."
    )


def _refuse_bad_numbers(batches: list[Batch], name: str) -> None:
    """Refuse inputs that are not finite, infinite targets, and records without any target; single holes are kept."""
    start, inputs, targets, several = 0, list[int](), list[int](), False
    for batch in batches:
        for tensor in flat(batch.inputs):
            if isinstance(tensor, Tensor) and tensor.is_floating_point():
                inputs += (_rows(~torch.isfinite(tensor)).any(1).nonzero().flatten() + start).tolist()
        if batch.targets.is_floating_point():
            rows = _rows(batch.targets)
            bad = torch.isinf(rows).any(1) | torch.isnan(rows).all(1)
            targets += (bad.nonzero().flatten() + start).tolist()
            several = several or rows.shape[1] > 1
        start += batch.n
    ones = "infinite ones, or none at all," if several else "NaN or infinite ones"
    for what, found, bad_rows in (
        ("inputs", "NaN or infinite ones", sorted(set(inputs))),
        ("targets", ones, targets),
    ):
        if bad_rows:
            raise InvalidInput(
                f"{name}: numbers must be finite. Found {found} in {first_rows(bad_rows)}, counted from "
                f"0, of the {what}. Fill them, or leave those records out."
            )


def _rows(tensor: Tensor) -> Tensor:
    return tensor.reshape(len(tensor), -1) if tensor.ndim else tensor.reshape(1, 1)


def _features(batches: list[Batch]) -> Floats | None:
    """Return the inputs of all records as one matrix, if they are tensors with one row a record."""
    parts = []
    for batch in batches:
        tensors = flat(batch.inputs)
        if not tensors or not all(isinstance(t, Tensor) and t.ndim > 0 and len(t) == batch.n for t in tensors):
            return None
        # Equal in 32 bits is equal here: the same records may be kept in 64 bits elsewhere.
        rows = [t.detach().cpu().reshape(batch.n, -1) for t in tensors]
        both = torch.cat([(t.float() if t.is_floating_point() else t).double() for t in rows], dim=1)
        parts.append((both + 0.0).numpy())  # -0.0 is 0
    if len({part.shape[1] for part in parts}) != 1:
        return None
    return np.concatenate(parts)


def overlap_of(members: Records, nonmembers: Records) -> Ints | None:
    """Return which non-members have an input that is also a member's, None where inputs cannot be compared."""
    if members.keys is None or nonmembers.keys is None:
        return None
    return np.flatnonzero(np.isin(nonmembers.keys, members.keys)).astype(np.int64)


def nearly_equal(members: Records, nonmembers: Records) -> Ints:
    """Return which non-members have an input that is a member's but for rounding, saved with fewer digits."""
    both = members.features, nonmembers.features
    if both[0] is None or both[1] is None or both[0].shape[1] != both[1].shape[1] or both[0].shape[1] == WIDEST:
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(same_rows(*map(pd.DataFrame, both)) >= 0)


def groups_of(members: Records, nonmembers: Records) -> Ints:
    """Return (n,) one number a distinct input, so that intervals resample equal records together."""
    if members.keys is None or nonmembers.keys is None:
        return np.arange(len(members) + len(nonmembers), dtype=np.int64)
    _, code = np.unique(np.r_[members.keys, nonmembers.keys], return_inverse=True)
    return code.astype(np.int64)
