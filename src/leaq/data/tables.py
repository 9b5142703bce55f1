"""Tables into Samples: which column is what, what cannot be used, and which records must stay together.

Row numbers in messages count records from 1, the first one below the header.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from leaq.data.columns import Problem, Settled, is_number, refusal, row_numbers, settle
from leaq.data.reading import Reading, TaskChoice
from leaq.data.splits import joined
from leaq.errors import InvalidInput, NotEnoughEvidence, first_rows
from leaq.stats.outliers import ABSURD, absurd, limited, outlier_flag, sentinel
from leaq.types import Bools, Feature, Flag, Floats, Ints, Samples, Task

__all__ = ["check_classes", "from_arrays", "from_frame", "grouped", "targets_of"]

FEWEST_RECORDS = 20
MOST_LEVELS = 20
"""Different texts (or a quarter of the records) up to which a column is a category."""
MOST_CLASSES = 20
"""Integers with more distinct values than this are taken for quantities unless the task is given."""
LARGEST = 1e37
"""Inputs are 32-bit numbers from here on."""
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

    Duplicate records (equal in every feature) get one group, so that they stay on one side of every split. Values far
    outside all others of their column are limited, and flagged; see `leaq.stats.outliers`.

    Raises
    ------
    InvalidInput
        With every column that cannot be used, in one message.
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
    settled = settle(frame.drop(columns=ignored).reset_index(drop=True))
    frame, flags = usable(settled, name, reading)
    if len(frame) < FEWEST_RECORDS:
        raise NotEnoughEvidence(f"{name}: an audit needs at least {FEWEST_RECORDS} records. Found {len(frame)}.")
    targets, classes, kind, doubts = targets_of(frame[target], name, reading)
    inputs = frame.drop(columns=[target, *([reading.group] if reading.group else [])])
    if inputs.shape[1] == 0:
        raise InvalidInput(f"{name}: there must be a feature column beside the target {target!r}. Found none.")
    matrix, features = _features(inputs)
    groups = pd.util.hash_pandas_object(pd.DataFrame(matrix), index=False).to_numpy()
    _, codes = np.unique(groups, return_inverse=True)
    rows = np.asarray(frame.index.to_numpy(), dtype=np.int64) + 1
    matrix, limits = _limited(matrix, features, rows, name=name)
    samples = Samples(
        inputs=matrix,
        targets=targets,
        task=kind,
        name=name,
        classes=classes,
        ids=rows,
        groups=codes.astype(np.int64),
        features=features,
        unit="log10" if reading.log_target else "",
        flags=(*flags, *doubts, *limits),
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


def usable(settled: Settled, name: str, reading: Reading) -> tuple[pd.DataFrame, tuple[Flag, ...]]:
    """Refuse what cannot be used, all of it in one message, or drop the rows at fault and say so.

    Raises
    ------
    InvalidInput
        Naming columns that are neither numbers nor categories, and rows with missing or infinite values.
    """
    frame, skip = settled.frame, reading.skip_invalid
    problems = [problem for problem in settled.problems if not (skip and problem.rows is not None)]
    features = frame.columns.drop([column for column in (reading.target, reading.group) if column in frame.columns])
    named = {problem.column for problem in settled.problems}
    problems += [problem for column in features.difference(list(named), sort=False)
                 if (problem := _no_feature(frame[column])) is not None]  # fmt: skip
    odd = {problem.column: problem.rows for problem in settled.problems if problem.rows is not None}
    missing, columns = _missing(frame, odd if skip else {})
    rows = np.flatnonzero(missing)
    where = first_rows((rows + 1).tolist())
    if problems and not (len(problems) == 1 and len(rows) and problems[0].rows is not None):
        if len(rows) and not skip:
            problems.append(Problem(columns[0][0], f"missing or infinite values in {where}", missing))
        raise refusal(name, problems)
    if not len(rows):
        return frame, settled.flags
    said = ", ".join(f"{column!r} ({count})" for column, count in columns)
    if not skip:
        also = f" Also, {problems[0].column!r} holds {problems[0].found}." if problems else ""
        raise InvalidInput(
            f"{name}: values must be present and finite. Missing or infinite in {where}, columns {said}.{also} "
            "Fill them, or drop those rows with --skip-invalid."
        )
    text = f"{where} with missing or infinite values were dropped (columns {said})."
    kept = frame.drop(index=rows.tolist())
    for column in odd:  # numbers, now that the words among them are gone
        kept[column] = settle(kept[[column]]).frame[column]
    return kept, (*settled.flags, Flag("dropped-rows", text))


def _missing(frame: pd.DataFrame, odd: Mapping[str, Bools]) -> tuple[Bools, list[tuple[str, int]]]:
    """Return which rows have a missing, infinite or odd value, and the columns it stands in with their counts."""
    bad = frame.isna()
    for column in frame.columns:
        if is_number(frame[column]):
            bad[column] |= ~np.isfinite(frame[column].to_numpy(dtype=float, na_value=np.nan))
    for column, rows in odd.items():
        bad[column] |= rows
    counts = bad.sum().sort_values(ascending=False)
    return bad.any(axis=1).to_numpy(), [(str(column), int(count)) for column, count in counts.items() if count]


def _no_feature(column: "pd.Series[Any]") -> Problem | None:
    """Say why a column tells records apart instead of describing them."""
    name = str(column.name)
    if row_numbers(column) == "count":
        low = int(column.min())
        return Problem(name, f"row numbers (every whole number from {low} to {low + len(column) - 1} once)")
    if is_number(column) or pd.api.types.is_bool_dtype(column):
        return None
    levels = column.dropna().astype(str).nunique()
    if levels <= max(MOST_LEVELS, len(column) // 4):
        return None
    return Problem(name, f"{levels} different texts in {len(column)} records")


def _limited(
    matrix: Floats, features: tuple[Feature, ...], rows: Ints, *, name: str
) -> tuple[Floats, tuple[Flag, ...]]:
    """Limit values far outside their column, and say which; refuse those no 32-bit number can hold.

    `rows` (n,) are the records' numbers in the source.
    """
    numbers = np.array([not feature.levels for feature in features])
    limit, outside = limited(matrix[:, numbers])
    columns = [feature.name for feature in features if not feature.levels]
    large = np.abs(limit) > LARGEST
    if large.any():
        column = int(np.flatnonzero(large.any(0))[0])
        raise InvalidInput(
            f"{name}: numbers must be below {LARGEST:g}. Column {columns[column]!r} holds larger ones in "
            f"{first_rows(rows[large[:, column]].tolist())}. Correct them, or give the column in another unit."
        )
    flags: tuple[Flag, ...] = ()
    unique = [repr(c) for c, v in zip(columns, limit.T, strict=True) if row_numbers(pd.Series(v)) == "unique"]
    if unique:
        text = f"Whole numbers, different in every record: columns {', '.join(unique[:5])}."
        flags = (Flag("unique-columns", f"{text} If they are identifiers, leave them out with --ignore."),)
    coded = [
        f"{number:g} in {int((column == number).sum())} rows of column {name!r}"
        for name, column in zip(columns, matrix[:, numbers].T, strict=True)
        if (number := sentinel(column)) is not None
    ]
    if coded:
        text = f"Numbers of nines, far from all others: {'; '.join(coded[:5])}."
        flags = (*flags, Flag("missing-codes", f"{text} If they stand for missing values, empty those cells."))
    if not outside.any():
        return matrix, flags
    where = [
        f"{columns[column]!r}: {first_rows(rows[outside[:, column]].tolist())}"
        for column in np.flatnonzero(outside.any(0))[:5]
    ]
    moved = matrix.copy()
    moved[:, numbers] = limit
    return moved, (*flags, outlier_flag(outside, "; ".join(where)))


def _features(inputs: pd.DataFrame) -> tuple[Floats, tuple[Feature, ...]]:
    """Numbers as they are; text and booleans as codes with named levels."""
    columns, features = [], []
    for column in inputs.columns:
        values = inputs[column]
        if is_number(values):
            columns.append(values.to_numpy(dtype=np.float64))
            features.append(Feature(str(column)))
            continue
        levels, codes = np.unique(values.astype(str).to_numpy(dtype=str), return_inverse=True)
        columns.append(codes.astype(np.float64))
        features.append(Feature(str(column), tuple(str(level) for level in levels)))
    return np.stack(columns, axis=1), tuple(features)
