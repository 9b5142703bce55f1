"""What an array must be to be taken: asked once, where it comes in, so that nothing fails late or passes silently."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from leaq.errors import InvalidInput, first_rows
from leaq.types.tasks import MULTITASK


def numbers(value: Any, *, name: str, shape: tuple[int | None, ...]) -> npt.NDArray[np.float64]:
    """Return real, finite numbers of a shape as float64; what is an array of them already is not copied.

    Parameters
    ----------
    name : what it is called in messages, e.g. "LossTable: scores".
    shape : the length of each axis; None allows any.

    Raises
    ------
    InvalidInput
        If it is text, objects, complex, boolean or dates; if it has another shape; if a number is missing or infinite.

    Examples
    --------
    >>> numbers([[1, 2]], name="losses", shape=(1, None))
    array([[1., 2.]])
    """
    array = _array(value, name, shape)
    if array.dtype.kind not in "fiu":
        raise InvalidInput(f"{name} must be real numbers. Found {array.dtype}.")
    found = array.astype(np.float64, copy=False)
    if not np.isfinite(found).all():
        raise InvalidInput(f"{name} must be finite. Found {_odd(array, ~np.isfinite(found))} NaN or infinite.")
    return found


def integers(
    value: Any, *, name: str, shape: tuple[int | None, ...], below: int | None = None
) -> npt.NDArray[np.int64]:
    """Return whole numbers of a shape as int64; with `below`, from 0 to `below` - 1.

    Examples
    --------
    >>> integers([0, 2.0], name="targets", shape=(2,), below=3)
    array([0, 2])
    """
    array = _array(value, name, shape)
    if array.dtype.kind not in "fiu":
        raise InvalidInput(f"{name} must be whole numbers. Found {array.dtype}.")
    with np.errstate(invalid="ignore"):
        found = array.astype(np.int64, copy=False)
    if (wrong := found != array).any():
        raise InvalidInput(f"{name} must be whole numbers. Found {_odd(array, wrong)} that are not.")
    if below is not None and (wrong := (found < 0) | (found >= below)).any():
        raise InvalidInput(f"{name} must lie between 0 and {below - 1}. Found {_odd(array, wrong)} outside.")
    return found


def memberships(value: Any, *, name: str, shape: tuple[int | None, ...]) -> npt.NDArray[np.bool_]:
    """Return truth values of a shape, of truth values or of the numbers 1 and 0.

    Examples
    --------
    >>> memberships([1, 0.0, True], name="members", shape=(3,))
    array([ True, False,  True])
    """
    array = _array(value, name, shape)
    if array.dtype != np.bool_:
        plain = array.dtype.kind in "fiuO" and bool(((array == 0) | (array == 1)).all())
        if not plain:
            raise InvalidInput(f"{name} must be true or false, or 1 and 0. Found {_kind(array)}.")
    return array.astype(np.bool_, copy=False)


def _kind(array: npt.NDArray[Any]) -> str:
    return f"{array.dtype} such as {array.ravel()[:3].tolist()}"


def plain_array(values: Any) -> npt.NDArray[Any]:
    """Return an array in which what a mask hides is missing; of tensors and sparse matrices their numbers.

    Examples
    --------
    >>> plain_array(np.ma.array([1.0, -999.0], mask=[False, True]))
    array([ 1., nan])
    """
    if hasattr(values, "detach"):  # a torch tensor, on whatever device
        values = values.detach().to_dense().cpu()
        values = values if values.element_size() > 2 or not values.is_floating_point() else values.float()
    if hasattr(values, "toarray"):
        values = values.toarray()
    if isinstance(values, np.ma.MaskedArray) and np.ma.getmaskarray(values).any():
        return np.where(np.ma.getmaskarray(values), np.nan, np.asarray(values.data, dtype=np.float64))
    return np.asarray(values)


def some_of(held: Any, index: npt.NDArray[np.int64]) -> Any:
    """Return some rows of what is held: of an array, of each by name, or of nothing.

    Examples
    --------
    >>> some_of({"a": np.array([1, 2, 3])}, np.array([2])), some_of(None, np.array([2]))
    ({'a': array([3])}, None)
    """
    if isinstance(held, Mapping):
        return {name: values[index] for name, values in held.items()}
    return None if held is None else held[index]


def joined(parts: Sequence[Any]) -> Any:
    """Return the rows of all parts, each an array or several by name; nothing if one has nothing.

    Examples
    --------
    >>> joined([np.array([1]), np.array([2, 3])]), joined([np.array([1]), None])
    (array([1, 2, 3]), None)
    """
    if any(part is None for part in parts):
        return None
    if isinstance(parts[0], Mapping):
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return np.concatenate(parts)


def trained_on(members: npt.NDArray[np.bool_]) -> int:
    """Return how many records trained a model, on average over models (s, n); at least 1.

    Examples
    --------
    >>> trained_on(np.array([[True, True, False], [True, True, True]]))
    2
    """
    return max(1, round(float(members.sum(1).mean())))


def checked_samples(samples: Any) -> dict[str, npt.NDArray[Any]]:
    """Return the row numbers and groups of a `Samples` where it has none, by name.

    Raises
    ------
    InvalidInput
        If lengths, shapes or the task do not fit, or inputs are not finite.
    """
    n, found = len(samples.targets), dict[str, npt.NDArray[Any]]()
    if len(samples.inputs) != n:
        raise InvalidInput(f"Samples: inputs and targets must be equally long. Found {len(samples.inputs)} and {n}.")
    for name, first in (("ids", 1), ("groups", 0)):
        value = getattr(samples, name)
        if value.size == 0:
            value = found[name] = np.arange(first, first + n, dtype=np.int64)
        if value.shape != (n,):
            raise InvalidInput(f"Samples: {name} must have shape ({n},). Found {value.shape}.")
    if samples.task == "classification" and len(samples.classes) < 2:
        raise InvalidInput("Samples: classification needs at least two class names.")
    wanted = (n, len(samples.tasks)) if samples.tasks else (n,)
    if bool(samples.tasks) != (samples.task == MULTITASK) or np.shape(samples.targets) != wanted:
        raise InvalidInput(
            f"Samples: {samples.task} targets must have shape {wanted}, one column a task. "
            f"Found {np.shape(samples.targets)} and {len(samples.tasks)} tasks."
        )
    if samples.inputs.dtype.kind == "f":
        bad = ~np.isfinite(samples.inputs.reshape(n, -1))
        if bad.any():
            ids = found.get("ids", samples.ids)
            where = f"{int(bad.sum())} NaN or infinite values in {first_rows(ids[bad.any(axis=1)].tolist())}"
            raise InvalidInput(f"Samples: inputs must be finite. Found {where}. Fill or remove them first.")
    return found


def checked_table(table: Any, *, tasks: Sequence[str], games: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a `LossTable` as they must be, by name; those that are absent are left out.

    Raises
    ------
    InvalidInput
        Naming the field, what it must be and what was found.
    """
    s, c, n = _sizes(table, tasks, games)
    classes = table.outputs.shape[-1] if getattr(table.outputs, "ndim", 0) == 3 else None
    if classes == 0:
        raise InvalidInput(f"LossTable: outputs must hold at least one number a record. Found {table.outputs.shape}.")
    shapes = {"losses": (s, c, n), "scores": (s, n), "whitebox": (s, n, None), "outputs": (s, n, None)}
    found: dict[str, npt.NDArray[Any]] = {
        "members": memberships(table.members, name="LossTable: members", shape=(s, n))
    }
    for name, shape in shapes.items():
        if (value := getattr(table, name)) is not None:
            found[name] = numbers(value, name=f"LossTable: {name}", shape=shape)
    for kind, value in (table.numbers or {}).items():
        numbers(value, name=f"LossTable: numbers[{kind!r}]", shape=(s, None))
    for name in ("ids", "groups"):
        value = getattr(table, name)
        value = np.arange(n) + (name == "ids") if np.size(value) == 0 else value  # rows of data count from 1
        found[name] = integers(value, name=f"LossTable: {name}", shape=(n,))
    if table.targets is not None and table.task == "classification":
        found["targets"] = integers(table.targets, name="LossTable: targets", shape=(n,), below=classes)
    elif table.targets is not None:
        found["targets"] = numbers(table.targets, name="LossTable: targets", shape=(n,))
    return found


def _sizes(table: Any, tasks: Sequence[str], games: Sequence[str]) -> tuple[int, int, int]:
    """Return the numbers of models, candidates and records, of a table whose own fields are what they must be."""
    if not isinstance(table.n_train, int | np.integer):
        raise InvalidInput(f"LossTable: n_train must be a whole number. Found {table.n_train!r}.")
    if table.n_train < 1:
        raise InvalidInput(f"LossTable: n_train must be at least 1. Found {table.n_train}.")
    for name, known in (("task", tasks), ("game", games)):
        if getattr(table, name) not in known:
            raise InvalidInput(f"LossTable: {name} must be {' or '.join(known)}. Found {getattr(table, name)!r}.")
    losses = plain_array(table.losses)
    if losses.ndim != 3:
        raise InvalidInput(f"LossTable: losses must be (models, candidates, records). Found shape {losses.shape}.")
    s, c, n = losses.shape
    if min(s, c, n) == 0:
        raise InvalidInput(f"LossTable: needs a model, a candidate and a record. Found shape {losses.shape}.")
    if losses.dtype.kind == "f" and (bad := ~np.isfinite(losses)).any():
        model, candidate, _ = np.argwhere(bad)[0]
        raise InvalidInput(
            f"LossTable: losses must be finite. Found {int(bad.sum())} NaN or infinite values, "
            f"first in candidate {candidate} of model {model}. Lower the learning rate or drop that candidate."
        )
    return s, c, n


def _array(value: Any, name: str, shape: tuple[int | None, ...]) -> npt.NDArray[Any]:
    try:
        array = plain_array(value)
    except (ValueError, TypeError, OverflowError) as err:  # ragged lists, objects that refuse
        raise InvalidInput(f"{name} must be an array of numbers. Found {type(value).__name__} ({err}).") from None
    axes = len(array.shape) == len(shape)
    if not axes or any(wanted not in (None, found) for wanted, found in zip(shape, array.shape, strict=True)):
        wanted = ", ".join("any" if length is None else str(length) for length in shape)
        raise InvalidInput(f"{name} must have shape ({wanted}{',' * (len(shape) == 1)}). Found {array.shape}.")
    return array


def _odd(array: npt.NDArray[Any], wrong: npt.NDArray[np.bool_]) -> str:
    count = int(wrong.sum())
    where = ", ".join(str(int(place)) for place in np.argwhere(wrong)[0])
    return f"{count} ({array[wrong][0]} at [{where}]{', ...' * (count > 1)})"
