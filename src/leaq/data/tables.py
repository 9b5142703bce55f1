"""Tables into Samples: which column is what, what cannot be used, and which records must stay together.

Row numbers in messages count records from 1, the first one below the header.
"""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from leaq.errors import InvalidInput, NotEnoughEvidence, first_rows
from leaq.types import Feature, Flag, Samples, Task

__all__ = ["check_groups", "from_arrays", "from_frame", "targets_of"]

FEWEST_RECORDS = 20
MOST_CLASSES = 20
"""Integers with more distinct values than this are taken for quantities unless the task is given."""

TaskChoice = Literal["auto", "classification", "regression"]


def from_arrays(x: npt.ArrayLike, y: npt.ArrayLike, *, task: TaskChoice = "auto", name: str = "arrays") -> Samples:
    """Build Samples from a feature matrix (n, d) and targets (n,).

    Examples
    --------
    >>> from_arrays(np.eye(30), np.arange(30) / 7.0).task
    'regression'
    """
    matrix = np.asarray(x)
    if matrix.ndim != 2:
        raise InvalidInput(f"from_arrays: x must be (n, d). Found shape {matrix.shape}.")
    frame = pd.DataFrame(matrix, columns=[f"x{i}" for i in range(matrix.shape[1])])
    frame["y"] = np.asarray(y)
    return from_frame(frame, "y", task=task, name=name)


def from_frame(
    frame: pd.DataFrame,
    target: str,
    *,
    task: TaskChoice = "auto",
    name: str = "table",
    ignore: tuple[str, ...] = (),
    skip_invalid: bool = False,
) -> Samples:
    """Turn a data frame into Samples: numbers as they are, text and booleans as categories.

    Duplicate records (equal in every feature) get one group, so that they stay on one side of every split.
    """
    unknown = sorted(set(ignore) - set(frame.columns))
    if unknown:
        raise InvalidInput(f"{name}: columns to ignore must exist. Found {', '.join(unknown)}.")
    frame, flags = _complete(frame.drop(columns=list(ignore)), name, skip_invalid=skip_invalid)
    if len(frame) < FEWEST_RECORDS:
        raise NotEnoughEvidence(f"{name}: an audit needs at least {FEWEST_RECORDS} records. Found {len(frame)}.")
    targets, classes, kind = targets_of(frame[target], task, name)
    inputs = frame.drop(columns=[target])
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
        flags=flags,
    )
    return check_groups(samples)


def targets_of(column: "pd.Series[Any]", task: TaskChoice, name: str) -> tuple[npt.NDArray[Any], tuple[str, ...], Task]:
    """Read the target column: class codes and names, or values."""
    values = column.to_numpy()
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
        return values.astype(np.float64), (), "regression"
    labels, codes = np.unique(values.astype(str) if not numeric else values, return_inverse=True)
    if len(labels) > len(values) // 2:
        raise InvalidInput(
            f"{name}: {len(labels)} classes in {len(values)} records are too many. "
            "Use --task regression, or another target."
        )
    return codes.astype(np.int64), tuple(_class_name(label) for label in labels), "classification"


def check_groups(samples: Samples) -> Samples:
    """Refuse data whose duplicates or rare classes make an attack meaningless; flag duplicates that stay."""
    n, distinct = len(samples), len(np.unique(samples.groups))
    if n - distinct > n / 2:
        raise InvalidInput(
            f"{samples.name}: more than half of the records are duplicates ({n - distinct} of {n}). "
            "De-duplicate them first: attacks on repeated records say nothing about single ones."
        )
    if samples.task == "classification":
        for code, label in enumerate(samples.classes):
            have = len(np.unique(samples.groups[samples.targets == code]))
            if have < 2:
                raise InvalidInput(
                    f"{samples.name}: every class needs at least 2 different records, one to train on and one to hold "
                    f"out. Class {label!r} has {have}. Merge it with another class or remove it."
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
