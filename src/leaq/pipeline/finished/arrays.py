"""Numbers in whatever container they come, as tensors: arrays, lists, frames, masked and sparse ones."""

from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from leaq.errors import InvalidInput, some


def is_array(value: Any) -> bool:
    """Tell an array, a tensor, a frame or a sparse matrix from other containers."""
    return isinstance(value, Tensor | np.ndarray) or hasattr(value, "to_numpy") or hasattr(value, "toarray")


def is_numbers(value: Any, *, axes: int) -> bool:
    """Tell a nest of lists that is an array of numbers with at least so many axes."""
    leaf = value
    while isinstance(leaf, list | tuple) and leaf:
        leaf = leaf[0]
    if leaf is value or not isinstance(leaf, Real):
        return False
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):  # rows of different length, or tensors among numbers
        return False
    return array.dtype.kind in "fiub" and array.ndim >= axes


def tensor_of(values: Any, *, double: bool = False) -> Tensor:
    """Turn numbers in any container into a tensor; what a mask hides is NaN.

    Parameters
    ----------
    double : keep 64-bit floats, which otherwise become 32-bit, as losses expect of targets.

    Raises
    ------
    InvalidInput
        If they are no numbers; of a frame, naming the columns at fault.

    Examples
    --------
    >>> tensor_of(np.ma.array([1.0, -999.0], mask=[False, True]))
    tensor([1., nan])
    """
    if isinstance(values, Tensor):
        return (values if values.layout == torch.strided else values.to_dense()).detach()
    if hasattr(values, "toarray"):
        values = values.toarray()
    array = _framed(values) if hasattr(values, "to_numpy") else _array(values)
    if array is None:
        found = np.asarray(values).dtype
        words = [str(value) for value in np.asarray(values, dtype=object).ravel()[:200] if isinstance(value, str)]
        if words:
            some_of = some([repr(word) for word in dict.fromkeys(words)], 3)
            raise InvalidInput(
                f"Inputs and targets must be numbers. Found the words {some_of}{_of(values)}. Give classes as codes 0, "
                "1, ... in the order of the model's outputs, categories as for training; texts for a language model "
                "go through leaq.audit(..., tokenizer=...)."
            )
        remedy = {
            "c": "Give real and imaginary parts as columns of their own",
            "V": "Give its fields as columns of one array",
            "M": "Turn dates into numbers",
            "m": "Turn times into numbers",
        }.get(found.kind, "Encode what is none first")
        raise InvalidInput(f"Inputs and targets must be numbers. Found {found}. {remedy}.")
    if array.dtype.kind == "f" and array.dtype.itemsize > 4:
        array = array.astype(np.float64 if double else np.float32)
    elif array.dtype.kind in "ui":
        array = array.astype(np.int64)
    return torch.tensor(array)


def _of(values: Any) -> str:
    """Return which column of a frame these values are, for a message."""
    name = getattr(values, "name", None)
    return f" in column {name!r}" if isinstance(name, str) else ""


def _array(values: Any) -> npt.NDArray[Any] | None:
    """Return real numbers in the machine's byte order, None if they are no numbers."""
    if isinstance(values, np.ma.MaskedArray):
        hidden = np.ma.getmaskarray(values)
        if not hidden.any():
            return _array(values.data)
        numbers = _array(values.data)
        return None if numbers is None else np.where(hidden, np.nan, numbers.astype(np.float64))
    array = np.asarray(values)
    if array.dtype == object:
        flat = [_number(value) for value in array.ravel()]
        return None if None in flat else np.array(flat, dtype=np.float64).reshape(array.shape)
    if array.dtype.kind not in "fiub":
        return None
    return array.astype(array.dtype.newbyteorder("="))


def _number(value: Any) -> float | None:
    """Return a real number, NaN for what stands for a missing one, None for everything else."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return float("nan")
    return float(value) if isinstance(value, Real | Decimal | np.bool_) else None


def _framed(values: Any) -> npt.NDArray[Any] | None:
    """Return the numbers of a frame or one of its columns, whatever kinds of numbers its columns hold."""
    if not hasattr(values, "columns"):
        return _array(values.to_numpy())
    names = [str(name) for name in values.columns]
    columns = [values.iloc[:, i] if hasattr(values, "iloc") else values[name] for i, name in enumerate(names)]
    found = [_array(column.to_numpy()) for column in columns]
    bad = [repr(name) for name, column in zip(names, found, strict=True) if column is None]
    if bad:
        raise InvalidInput(
            f"Inputs and targets must be numbers. Columns that hold something else: {some(bad, 5)}. "
            "Encode texts, dates and categories first, as for training."
        )
    return np.stack([column for column in found if column is not None], axis=1) if found else np.empty((len(values), 0))
