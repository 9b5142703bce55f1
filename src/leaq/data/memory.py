"""Records that are in memory already: data frames, and pairs of inputs and targets."""

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import pandas as pd

from leaq.data.columns import refuse_repeated
from leaq.data.texts import texts_in
from leaq.errors import InvalidInput, some
from leaq.types.arrays import plain_array


def in_memory(source: Any) -> bool:
    """Tell a data frame (of pandas or another library), a pair (X, y) or a list of texts from a name or a file.

    Examples
    --------
    >>> in_memory(pd.DataFrame()), in_memory(([[1.0]], [0])), in_memory("wine")
    (True, True, False)
    """
    if isinstance(source, list) and len(source) > 2:
        return texts_in(source) is not None
    pair = isinstance(source, tuple | list) and len(source) == 2
    return pair or is_frame(source) or _is_table(source)


def is_frame(source: Any) -> bool:
    """Tell a data frame of pandas, polars and the like."""
    return hasattr(source, "columns") and hasattr(source, "to_numpy")


def _is_table(source: Any) -> bool:
    """Tell a table of pyarrow, a lazy frame of polars or a data set of Hugging Face: what becomes a frame."""
    return hasattr(source, "to_pandas" if hasattr(source, "column_names") else "collect_schema")


def no_records(source: Any) -> InvalidInput:
    """Return the refusal of what is neither a table nor a pair, with what makes one of it.

    Examples
    --------
    >>> str(no_records({"train": [1], "test": [2]})).partition(". ")[2]
    "Found dict of 'train', 'test'. Give one of these, or pandas.DataFrame(...) of them if they are columns."
    """
    found, remedy = type(source).__name__, ""
    if isinstance(source, Mapping):
        found += f" of {some([repr(key) for key in source], 5)}"
        remedy = " Give one of these, or pandas.DataFrame(...) of them if they are columns."
    elif isinstance(source, list | tuple):
        found += f" of {len(source)}"
        remedy = " Give pandas.DataFrame(...) of them." if source and isinstance(source[0], Mapping) else ""
    elif names := getattr(getattr(source, "dtype", None), "names", None):
        found += f" of {some([repr(name) for name in names], 5)}"
        remedy = " Give pandas.DataFrame(...) of it."
    wanted = "A source of records must be a name, a file, a data frame or a pair (X, y)."
    return InvalidInput(f"{wanted} Found {found}.{remedy}")


def as_frame_of(source: Any) -> Any:
    """Return a table of pyarrow, a lazy frame or a data set with columns as a data frame, anything else as it is.

    Examples
    --------
    >>> as_frame_of([1, 2])
    [1, 2]
    """
    if is_frame(source) or not _is_table(source):
        return source
    if hasattr(source, "to_pandas"):
        return source.to_pandas()
    return source.collect()


def table_of(source: Any, target: str | None) -> tuple[pd.DataFrame, str | None]:
    """Return records in memory as one frame, and the name of its target column.

    Columns of an array X are named x0, x1, ...; texts in place of X are taken for SMILES. The row labels of a frame are
    no column.

    Raises
    ------
    InvalidInput
        If X and y do not belong together.
    """
    source = as_frame_of(source)
    if is_frame(source):
        return _frame(source), target
    inputs, targets = map(as_frame_of, source)
    refuse_other_order(inputs, targets, "(X, y)")
    frame = _frame(inputs) if hasattr(inputs, "columns") else _of_array(inputs)
    values = plain_array(targets)
    values = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if values.ndim not in (1, 2) or len(values) != len(frame):
        raise InvalidInput(
            f"(X, y): y must hold one target a record, or one column a task. Found X of {len(frame)} records and y of "
            f"shape {values.shape}."
        )
    if values.ndim == 2:
        return _several(frame, targets, values, target)
    name = target or str(getattr(targets, "name", None) or "target")
    _refuse_same(frame, name)
    frame[name] = values
    return frame, name


def _several(
    frame: pd.DataFrame, targets: Any, values: npt.NDArray[Any], target: str | None
) -> tuple[pd.DataFrame, str]:
    """Add several targets to a frame, by the names of a frame y, of `target`, or task0, task1, ..."""
    columns = getattr(targets, "columns", None)
    given = [str(column) for column in columns] if columns is not None else (target or "").split(",")
    names = given if len(given) == values.shape[1] else [f"task{at}" for at in range(values.shape[1])]
    for at, name in enumerate(names):
        _refuse_same(frame, name)
        frame[name] = values[:, at]
    return frame, ",".join(names)


def _refuse_same(frame: pd.DataFrame, name: str) -> None:
    if name in frame.columns:
        raise InvalidInput(f"(X, y): the target must be no column of X. Found {name!r} in both. Rename one.")


def refuse_other_order(inputs: Any, targets: Any, name: str) -> None:
    """Refuse a frame and a column of the same row labels in another order: by position they are other records.

    Examples
    --------
    >>> refuse_other_order(pd.DataFrame({"a": [1, 2]}, index=[7, 8]), pd.Series([0, 1], index=[7, 8]), "members")
    """
    if not (isinstance(inputs, pd.DataFrame) and isinstance(targets, pd.Series | pd.DataFrame)):
        return
    rows, others = inputs.index, targets.index
    if len(rows) == len(others) and not rows.equals(others) and rows.sort_values().equals(others.sort_values()):
        raise InvalidInput(
            f"{name}: records and targets must stand in one order. X and y have the same row labels in another order. "
            "Give y.loc[X.index]."
        )


def members_of(source: Any, members: Any) -> Any:
    """Return members named by a frame's row labels as a mask of its rows; anything else as it is.

    Raises
    ------
    InvalidInput
        If there are no such labels, or a mask's labels stand in another order.

    Examples
    --------
    >>> frame = pd.DataFrame({"a": [1, 2, 3]}, index=[7, 8, 9])
    >>> members_of(frame, frame.index[1:]).tolist(), members_of(frame, [1, 2])
    ([False, True, True], [1, 2])
    """
    rows = source if isinstance(source, pd.DataFrame) else source[0] if isinstance(source, tuple | list) else None
    if not isinstance(rows, pd.DataFrame):
        return members
    if isinstance(members, pd.Series):
        refuse_other_order(rows, members, "members")
    if not isinstance(members, pd.Index):
        return members
    if len(absent := members.difference(rows.index)):
        raise InvalidInput(
            f"members: row labels must be the source's. Found {len(absent)} that it lacks, such as {str(absent[0])!r}."
        )
    return rows.index.isin(members)


def shape_of(source: Any) -> tuple[int, ...]:
    """Return the shape of one record of a pair (X, y) whose X is an array of images or the like; () of a table.

    Examples
    --------
    >>> import numpy as np
    >>> shape_of((np.zeros((9, 4, 4)), np.zeros(9))), shape_of((np.zeros((9, 4)), np.zeros(9)))
    ((4, 4), ())
    """
    shape = getattr(source[0], "shape", ()) if isinstance(source, tuple | list) else ()
    return tuple(int(size) for size in shape[1:]) if len(shape) > 2 else ()


def _frame(source: Any) -> pd.DataFrame:
    """Return a copy with text names; rows are numbered from 0."""
    if isinstance(source, pd.DataFrame):
        frame = source.reset_index(drop=True)
        frame.columns = frame.columns.map(str)
        refuse_repeated(frame.columns, "table")
        return frame
    return pd.DataFrame({str(name): source[name].to_numpy() for name in source.columns})


def _of_array(inputs: Any) -> pd.DataFrame:
    matrix = plain_array(inputs)
    if matrix.ndim == 1 and matrix.dtype.kind in "UTO":
        return pd.DataFrame({"smiles": matrix.astype(object)})
    if matrix.ndim == 1 and matrix.dtype.kind in "fiub":
        matrix = matrix[:, None]
    if matrix.ndim > 2:
        matrix = matrix.reshape(len(matrix), -1)
    if matrix.ndim != 2:
        raise InvalidInput(f"(X, y): X must hold one row a record. Found shape {matrix.shape}.")
    return pd.DataFrame(matrix, columns=[f"x{i}" for i in range(matrix.shape[1])])
