"""What a target column holds: classes or values, and what is doubtful about them."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from leaq.data.columns import is_number
from leaq.data.reading import Reading
from leaq.errors import InvalidInput, first_rows
from leaq.stats.outliers import ABSURD, absurd, sentinel
from leaq.types import Flag, Floats, Task

MOST_CLASSES = 20
"""Integers with more distinct values than this are taken for quantities unless the task is given."""
HEAVY_TAIL = 1.0
"""Skewness of a positive target from which logarithms are suggested."""

Targets = tuple[npt.NDArray[Any], tuple[str, ...], Task, tuple[Flag, ...]]
"""Class codes or values, class names, the task, and doubts."""


def targets_of(column: "pd.Series[Any]", name: str, reading: Reading) -> Targets:
    """Read the target column: class codes and names, or values, on a log scale where asked for."""
    task, values = reading.task, column.to_numpy()
    distinct = pd.unique(column)
    if len(distinct) < 2:
        raise InvalidInput(f"{name}: the target {column.name!r} must vary. Every record has {distinct[0]}.")
    numeric = is_number(column)
    if task == "auto":
        whole = numeric and np.array_equal(values, np.round(values.astype(float)))
        few = len(distinct) <= min(MOST_CLASSES, max(2, len(values) // 10))
        task = "classification" if not numeric or (whole and few) else "regression"
    if task == "regression":
        if not numeric:
            raise InvalidInput(f"{name}: a regression target must be numbers. Column {column.name!r} holds text.")
        if not reading.log_target:
            _refuse_absurd(values.astype(np.float64), column, name)
        scaled, flags = _scaled(values.astype(np.float64), column, name, log=reading.log_target)
        return scaled, (), "regression", flags
    if reading.log_target:
        raise InvalidInput(f"{name}: only a regression target has logarithms. Column {column.name!r} holds classes.")
    labels, codes = np.unique(values.astype(str) if not numeric else values, return_inverse=True)
    if len(labels) > len(values) // 2:
        raise InvalidInput(
            f"{name}: {len(labels)} classes in {len(values)} records are too many. "
            "Use --task regression, or another target."
        )
    if numeric and (code := sentinel(values.astype(np.float64))) is not None:
        count = int((values == code).sum())
        raise InvalidInput(
            f"{name}: the target {column.name!r} must be classes. {code:g} in {count} rows is far from all others, as "
            "a code for a missing value is. Empty those cells and drop the rows with --skip-invalid."
        )
    names = tuple(_class_name(label) for label in labels)
    return codes.astype(np.int64), names, "classification", _alike(names, column)


def _alike(classes: tuple[str, ...], column: "pd.Series[Any]") -> tuple[Flag, ...]:
    """Flag classes that differ in capitals alone: one class spelled in several ways more often than several."""
    spelled: dict[str, list[str]] = {}
    for label in classes:
        spelled.setdefault(label.casefold(), []).append(repr(label))
    doubled = ["/".join(names) for names in spelled.values() if len(names) > 1]
    if not doubled:
        return ()
    text = f"Classes of {column.name!r} that differ in capitals alone count as several: {', '.join(doubled)}."
    return (Flag("alike-classes", f"{text} Spell them alike if they are the same."),)


def _refuse_absurd(values: Floats, column: "pd.Series[Any]", name: str) -> None:
    """Refuse a target that is far beyond all others: one such value rules every squared error."""
    code, rows = absurd(values)
    where = first_rows((np.asarray(column.index)[rows] + 1).tolist())
    if code is not None:
        raise InvalidInput(
            f"{name}: the target {column.name!r} must be measurements. {code:g} in {where} is far from all others, "
            "like a code for a missing value. Empty those cells and drop the rows with --skip-invalid."
        )
    if len(rows):
        raise InvalidInput(
            f"{name}: the target {column.name!r} must be measurements. In {where} it lies more than {ABSURD:.0f} times "
            "the spread of all others away, like an overflow or a code for missing. Correct or remove those rows, or "
            "predict its logarithm with --log-target."
        )


def _scaled(values: Floats, column: "pd.Series[Any]", name: str, *, log: bool) -> tuple[Floats, tuple[Flag, ...]]:
    """Take logarithms where asked for; suggest them where a squared error would see only the largest values."""
    rows = np.flatnonzero(values <= 0)
    if log:
        if len(rows):
            where = first_rows((np.asarray(column.index)[rows] + 1).tolist())
            raise InvalidInput(f"{name}: a log target must be positive. Found values of 0 or below in {where}.")
        return np.log10(values), ()
    if len(rows) or _skewness(values) < HEAVY_TAIL or abs(_skewness(np.log10(values))) > _skewness(values) / 2:
        return values, ()
    text = (
        f"The target {column.name!r} is heavy-tailed (skewness {_skewness(values):.1f}; "
        f"{_skewness(np.log10(values)):.1f} after log10): its few largest values rule every squared error. "
        "Consider --log-target."
    )
    return values, (Flag("heavy-tail", text),)


def _skewness(values: Floats) -> float:
    centred = values - values.mean()
    return float((centred**3).mean() / ((centred**2).mean() ** 1.5 + 1e-300))


def _class_name(label: Any) -> str:
    number = isinstance(label, float | np.floating) and float(label).is_integer()
    return str(int(label)) if number else str(label)
