"""Tables into Samples: which column is what, what cannot be used, and which records must stay together.

Row numbers in messages count records from 1, the first one below the header.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from leaq.data.reading import Reading, TaskChoice
from leaq.data.splits import joined
from leaq.errors import InvalidInput, NotEnoughEvidence, first_rows
from leaq.types import Feature, Flag, Floats, Ints, Samples, Task

__all__ = ["check_classes", "from_arrays", "from_frame", "grouped", "targets_of"]

FEWEST_RECORDS = 20
MOST_CLASSES = 20
"""Integers with more distinct values than this are taken for quantities unless the task is given."""

HEAVY_TAIL = 1.0
"""Skewness of a positive target from which logarithms are suggested."""


def from_arrays(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    groups: npt.ArrayLike | None = None,
    task: TaskChoice = "auto",
    name: str = "arrays",
) -> Samples:
    """Build Samples from a feature matrix (n, d) and targets (n,); records of an equal group stay together.

    Examples
    --------
    >>> from_arrays(np.eye(30), np.arange(30) / 7.0).task
    'regression'
    """
    matrix = np.asarray(x)
    if matrix.ndim != 2:
        raise InvalidInput(f"from_arrays: x must be (n, d). Found shape {matrix.shape}.")
    frame = pd.DataFrame(matrix, columns=[f"x{i}" for i in range(matrix.shape[1])])
    for column, values in (("y", y), ("group", groups)):
        if values is not None:
            array = np.asarray(values)
            if array.shape != (len(matrix),):
                raise InvalidInput(f"from_arrays: {column} must have shape ({len(matrix)},). Found {array.shape}.")
            frame[column] = array
    group = None if groups is None else "group"
    return from_frame(frame, Reading(target="y", group=group, task=task), name=name)


def from_frame(frame: pd.DataFrame, reading: Reading, *, name: str = "table") -> Samples:
    """Turn a data frame into Samples: numbers as they are, text and booleans as categories.

    Duplicate records (equal in every feature) get one group, so that they stay on one side of every split.
    """
    target = str(reading.target)
    unknown = sorted(set(reading.ignore) - set(frame.columns))
    if unknown:
        raise InvalidInput(f"{name}: columns to ignore must exist. Found {', '.join(unknown)}.")
    if reading.strip_salts or reading.split != "random":
        raise InvalidInput(
            f"{name}: salts, scaffolds and clusters belong to molecules. Name the SMILES column with --smiles, or "
            "keep records together with --group."
        )
    ignored = [column for column in reading.ignore if column != reading.group]
    frame, flags = _complete(frame.drop(columns=ignored), name, skip_invalid=reading.skip_invalid)
    if len(frame) < FEWEST_RECORDS:
        raise NotEnoughEvidence(f"{name}: an audit needs at least {FEWEST_RECORDS} records. Found {len(frame)}.")
    targets, classes, kind, doubts = targets_of(frame[target], name, reading)
    inputs = frame.drop(columns=[target, *([reading.group] if reading.group else [])])
    if inputs.shape[1] == 0:
        raise InvalidInput(f"{name}: there must be a feature column beside the target {target!r}. Found none.")
    matrix, features = _features(inputs, name)
    groups = pd.util.hash_pandas_object(pd.DataFrame(matrix), index=False).to_numpy()
    _, codes = np.unique(groups, return_inverse=True)
    samples = Samples(
        inputs=matrix,
        targets=targets,
        task=kind,
        name=name,
        classes=classes,
        ids=np.asarray(frame.index.to_numpy(), dtype=np.int64) + 1,
        groups=codes.astype(np.int64),
        features=features,
        unit="log10" if reading.log_target else "",
        flags=(*flags, *doubts),
    )
    samples = _check_duplicates(samples)
    check_classes(samples)
    return grouped(samples, pd.factorize(frame[reading.group])[0]) if reading.group else samples


Targets = tuple[npt.NDArray[Any], tuple[str, ...], Task, tuple[Flag, ...]]
"""Class codes or values, class names, the task, and doubts."""


def targets_of(column: "pd.Series[Any]", name: str, reading: Reading) -> Targets:
    """Read the target column: class codes and names, or values, on a log scale where asked for."""
    task, values = reading.task, column.to_numpy()
    distinct = pd.unique(column)
    if len(distinct) < 2:
        raise InvalidInput(f"{name}: the target {column.name!r} must vary. Every record has {distinct[0]!r}.")
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if task == "auto":
        whole = numeric and np.array_equal(values, np.round(values.astype(float)))
        few = len(distinct) <= min(MOST_CLASSES, max(2, len(values) // 10))
        task = "classification" if not numeric or (whole and few) else "regression"
    if task == "regression":
        if not numeric:
            raise InvalidInput(f"{name}: a regression target must be numbers. Column {column.name!r} holds text.")
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
    return codes.astype(np.int64), tuple(_class_name(label) for label in labels), "classification", ()


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


def grouped(samples: Samples, codes: Ints) -> Samples:
    """Keep the records of one group on one side of every split, together with the duplicates of each.

    Raises
    ------
    InvalidInput
        If there are fewer than four groups, or one holds more than half of the records.
    """
    groups = joined(samples.groups, codes)
    sizes = np.bincount(groups)
    if len(sizes) < 4 or sizes.max() > len(samples) / 2:
        raise InvalidInput(
            f"{samples.name}: --group needs at least 4 groups, none with more than half of the records. Found "
            f"{len(sizes)}, the largest with {sizes.max()} of {len(samples)}. Name a finer column."
        )
    samples = replace(samples, groups=groups)
    check_classes(samples)
    text = f"{len(sizes)} groups of records stay on one side of every split; intervals resample whole groups."
    return replace(samples, flags=(*samples.flags, Flag("grouped", text)))


def check_classes(samples: Samples) -> None:
    """Refuse a class that cannot be both trained on and held out."""
    if samples.task == "classification":
        for code, label in enumerate(samples.classes):
            have = len(np.unique(samples.groups[samples.targets == code]))
            if have < 2:
                raise InvalidInput(
                    f"{samples.name}: every class needs at least 2 different records, one to train on and one to hold "
                    f"out. Class {label!r} has {have}. Merge it with another class or remove it."
                )


def _check_duplicates(samples: Samples) -> Samples:
    """Refuse data whose duplicates make an attack meaningless; flag duplicates that stay."""
    n, distinct = len(samples), len(np.unique(samples.groups))
    if n - distinct > n / 2:
        raise InvalidInput(
            f"{samples.name}: more than half of the records are duplicates ({n - distinct} of {n}). "
            "De-duplicate them first: attacks on repeated records say nothing about single ones."
        )
    if n == distinct:
        return samples
    text = f"{n - distinct} of {n} records repeat the features of another; they stay on one side of every split."
    return replace(samples, flags=(*samples.flags, Flag("duplicates", text)))


def _class_name(label: Any) -> str:
    number = isinstance(label, float | np.floating) and float(label).is_integer()
    return str(int(label)) if number else str(label)


def _complete(frame: pd.DataFrame, name: str, *, skip_invalid: bool) -> tuple[pd.DataFrame, tuple[Flag, ...]]:
    """Refuse missing and infinite values with counts and first rows, or drop those rows and say so."""
    frame = frame.reset_index(drop=True)
    bad = frame.isna()
    for column in frame.select_dtypes("number").columns:
        bad[column] |= ~np.isfinite(frame[column].to_numpy(dtype=float, na_value=np.nan))
    rows = np.flatnonzero(bad.any(axis=1).to_numpy())
    if not len(rows):
        return frame, ()
    worst = bad.sum().sort_values(ascending=False)
    columns = ", ".join(f"{column!r} ({int(count)})" for column, count in worst.items() if count)
    where = first_rows((rows + 1).tolist())
    if not skip_invalid:
        raise InvalidInput(
            f"{name}: values must be present and finite. Missing or infinite in {where}, columns {columns}. "
            "Fill them, or drop those rows with --skip-invalid."
        )
    text = f"{where} with missing or infinite values were dropped (columns {columns})."
    return frame.drop(index=rows.tolist()), (Flag("dropped-rows", text),)


def _features(inputs: pd.DataFrame, name: str) -> tuple[npt.NDArray[np.float64], tuple[Feature, ...]]:
    """Numbers as they are; text and booleans as codes with named levels."""
    columns, features = [], []
    for column in inputs.columns:
        values = inputs[column]
        if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            columns.append(values.to_numpy(dtype=np.float64))
            features.append(Feature(str(column)))
            continue
        levels, codes = np.unique(values.astype(str).to_numpy(dtype=str), return_inverse=True)
        if len(levels) > max(20, len(values) // 4):
            raise InvalidInput(
                f"{name}: column {column!r} has {len(levels)} different texts in {len(values)} records and cannot be a "
                f"category. Name it with --ignore, or with --smiles if it holds molecules."
            )
        columns.append(codes.astype(np.float64))
        features.append(Feature(str(column), tuple(str(level) for level in levels)))
    return np.stack(columns, axis=1), tuple(features)
