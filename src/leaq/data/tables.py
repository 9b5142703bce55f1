"""Tables into Samples: which column is what, what cannot be used, and which records must stay together.

Row numbers in messages count records from 1, the first one below the header.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from leaq.data.columns import (
    BEYOND,
    DECORATED_WORDS,
    Problem,
    Settled,
    column_refusal,
    is_number,
    plain_numbers,
    rounded_away,
    row_numbers,
    settle,
    too_exact,
    whole_numbers,
    with_units,
)
from leaq.data.reading import Reading, TaskChoice
from leaq.data.sources import no_column
from leaq.data.splits import joined_groups
from leaq.data.targets import Several, copies, holes, labelled, read_several, spelled_alike, targets_of
from leaq.errors import InvalidInput, NotEnoughEvidence, agreeing, counted, first_rows, some
from leaq.stats.outliers import limited, outlier_flag, sentinel
from leaq.types import Bools, Feature, Flag, Floats, Ints, Samples
from leaq.types.tasks import MULTITASK

FEWEST_RECORDS = 20
FEWEST_LABELS = 20
"""Labels of one of several tasks."""
MOST_LEVELS = 20
"""Different texts (or a quarter of the records) up to which a column is a category."""
LARGEST = 1e37
"""Inputs are 32-bit numbers from here on."""


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
    wanted = reading.targets(list(frame.columns))
    unknown = sorted(set(reading.ignore) - set(frame.columns))
    if unknown:
        raise no_column(name, unknown[0], "--ignore", [str(column) for column in frame.columns])
    if reading.strip_salts or reading.split != "random":
        raise InvalidInput(
            f"{name}: salts, scaffolds and clusters belong to molecules. Name the SMILES column with --smiles, or "
            "keep records together with --group."
        )
    ignored = [column for column in reading.ignore if column != reading.group]
    frame = frame.drop(columns=ignored).reset_index(drop=True)
    several = read_several(frame[list(wanted)], name, reading) if len(wanted) > 1 else None
    settled = settle(frame if several is None else frame.drop(columns=list(wanted)))
    frame, flags = usable_rows(settled, name, reading)
    if several is not None:
        frame = frame[labelled(several, name, reading)[frame.index]]
    if len(frame) < FEWEST_RECORDS:
        raise NotEnoughEvidence(f"{name}: an audit needs at least {FEWEST_RECORDS} records. Found {len(frame)}.")
    if several is None:
        targets, classes, kind, doubts = targets_of(frame[wanted[0]], name, reading)
        unit = "log10" if reading.log_target else ""
        predicted: dict[str, Any] = {
            "targets": targets,
            "task": kind,
            "classes": classes,
            "unit": unit,
            "flags": doubts,
        }
    else:
        predicted = _of_several(several, frame)
    inputs = frame.drop(columns=[*([] if several else wanted), *([reading.group] if reading.group else [])])
    if inputs.shape[1] == 0:
        raise InvalidInput(f"{name}: there must be a feature column beside the target {wanted[0]!r}. Found none.")
    matrix, features = _features(inputs)
    spelled = [
        flag for one in features if one.levels for flag in spelled_alike(one.levels, f"Categories of {one.name!r}")
    ]
    given = _given_away(matrix, features, predicted["targets"])
    codes = _equal_records(matrix)
    rows = np.asarray(frame.index.to_numpy(), dtype=np.int64) + 1
    matrix, limits = _limited(matrix, features, rows, name=name)
    samples = Samples(
        inputs=matrix,
        name=name,
        ids=rows,
        groups=codes,
        features=features,
        **{**predicted, "flags": (*flags, *predicted["flags"], *spelled, *given, *limits)},
    )
    samples = _check_duplicates(samples)
    check_classes(samples)
    return grouped(samples, pd.factorize(frame[reading.group])[0]) if reading.group else samples


def _equal_records(matrix: Floats) -> Ints:
    """Return one number a record (n,), the same where records are equal in 32 bits: in these models compute."""
    with np.errstate(over="ignore"):
        exact, single = (
            np.unique(pd.util.hash_pandas_object(pd.DataFrame(part), index=False).to_numpy(), return_inverse=True)[1]
            for part in (matrix, matrix.astype(np.float32))
        )
    return np.unique(pd.Series(exact).groupby(single).transform("min"), return_inverse=True)[1].astype(np.int64)


def _given_away(matrix: Floats, features: tuple[Feature, ...], targets: "np.ndarray") -> tuple[Flag, ...]:
    """Flag columns that hold a target in other words: a model needs to learn nothing from whoever stands in them."""
    every = np.asarray(targets, dtype=np.float64).reshape(len(matrix), -1)
    found = sorted({at for target in every.T for at in copies(matrix, target)})
    if not found:
        return ()
    names = some([repr(features[at].name) for at in found], 5)
    text = f"Columns that hold the target in other words, value by value: {names}. Unless a prediction may see them,"
    return (Flag("target-copies", f"{text} leave them out with --ignore."),)


def _of_several(several: Several, frame: pd.DataFrame) -> dict[str, Any]:
    """Return what `Samples` says of several targets of the rows that are left."""
    values = several.values[frame.index]
    there = np.isin(np.arange(len(several.values)), frame.index)
    unlabelled = int((np.isnan(several.values).all(1) & ~there).sum())
    text = f"{counted(unlabelled, 'record')} without a label of any task dropped."
    dropped = (Flag("dropped-rows", text),) if unlabelled else ()
    flags = (*several.flags, *dropped, *holes(values))
    return {"targets": values, "task": MULTITASK, "tasks": several.tasks, "flags": flags}


def grouped(samples: Samples, codes: Ints) -> Samples:
    """Keep the records of one group on one side of every split, together with the duplicates of each.

    Raises
    ------
    InvalidInput
        If there are fewer than four groups, or one holds more than half of the records.
    """
    groups = joined_groups(samples.groups, codes)
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
    named = [(values, task.classes, f" of {task.name!r}" * bool(samples.tasks)) for values, task in samples.each_target]
    for values, classes, name in named:
        for code, label in enumerate(classes):
            have = len(np.unique(samples.groups[values == code]))
            if have < 2:
                raise InvalidInput(
                    f"{samples.name}: every class needs at least 2 different records, one to train on and one to hold "
                    f"out. Class {label!r}{name} has {have}. Merge it with another class or remove it."
                )
    for values, classes, name in named:
        if not classes and samples.tasks and (have := int((~np.isnan(values)).sum())) < FEWEST_LABELS:
            raise NotEnoughEvidence(
                f"{samples.name}: every task needs at least {FEWEST_LABELS} labels. Found {have}{name}. Leave it out."
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
    frame = pd.DataFrame(samples.targets).assign(group=samples.groups)
    odd = int((frame.groupby("group")[list(frame.columns[:-1])].transform("nunique") > 1).any(axis=1).sum())
    repeated = n - distinct
    other = f" ({odd} records that are equal so have different targets)" if odd else ""
    verb = agreeing(repeated, "repeat")
    text = f"{repeated} of {n} records {verb} the features of another{other}; they stay on one side of every split."
    return replace(samples, flags=(*samples.flags, Flag("duplicates", text)))


def usable_rows(settled: Settled, name: str, reading: Reading) -> tuple[pd.DataFrame, tuple[Flag, ...]]:
    """Refuse what cannot be used, all of it in one message, or drop the rows at fault and say so.

    Raises
    ------
    InvalidInput
        Naming columns that are neither numbers nor categories, and rows with missing or infinite values.
    """
    frame, skip = settled.frame, reading.skip_invalid
    if reading.target in frame.columns and frame[reading.target].isna().all():
        raise InvalidInput(
            f"{name}: a target needs labels. Found none in column {reading.target!r}. Name another with --target."
        )
    problems = [problem for problem in settled.problems if not (skip and problem.rows is not None)]
    features = frame.columns.drop([column for column in (reading.target, reading.group) if column in frame.columns])
    named = {problem.column for problem in settled.problems}
    looked_at = features.difference([*named, *_fractions(frame)], sort=False)
    problems += [problem for column in looked_at if (problem := _no_feature(frame[column])) is not None]
    odd = {problem.column: problem.rows for problem in settled.problems if problem.rows is not None}
    missing, columns = _missing(frame, odd if skip else {})
    rows = np.flatnonzero(missing)
    where = first_rows((rows + 1).tolist())
    if problems and not (len(problems) == 1 and len(rows) and problems[0].rows is not None):
        for column, there in () if skip else [entry for entry in columns if not entry[1].all()]:
            at = first_rows((np.flatnonzero(there) + 1).tolist())
            problems.append(Problem(column, f"missing or infinite values in {at}", there))
        raise column_refusal(name, problems, targets=reading.targets(list(frame.columns)))
    if not len(rows):
        return frame, settled.flags
    said = ", ".join(f"{column!r} ({int(there.sum())})" for column, there in columns)
    if not skip:
        also = f" Also, {problems[0].column!r} holds {problems[0].found}." if problems else ""
        raise InvalidInput(
            f"{name}: values must be present and finite. Missing or infinite in {where}, columns {said}.{also} "
            f"Fill them, or drop those rows with --skip-invalid{_hollow(columns, reading)}."
        )
    text = f"{where} with missing or infinite values were dropped (columns {said})."
    kept = frame.drop(index=rows.tolist())
    for column in odd:  # numbers, now that the words among them are gone
        kept[column] = settle(kept[[column]]).frame[column]
    return kept, (*settled.flags, Flag("dropped-rows", text))


def _missing(frame: pd.DataFrame, odd: Mapping[str, Bools]) -> tuple[Bools, list[tuple[str, Bools]]]:
    """Return which rows have a missing, infinite or odd value, and the columns it stands in, each with its rows."""
    bad, plain = frame.isna().to_numpy().copy(), plain_numbers(frame)
    bad[:, plain] = ~np.isfinite(frame.loc[:, plain].to_numpy(dtype=np.float64))
    for at in np.flatnonzero(~plain).tolist():
        if is_number(column := frame[frame.columns[at]]):
            bad[:, at] |= ~np.isfinite(column.to_numpy(dtype=float, na_value=np.nan))
    for name, rows in odd.items():
        bad[:, frame.columns.get_loc(name)] |= rows
    counts = pd.Series(bad.sum(0), frame.columns).sort_values(ascending=False)
    found = [(str(name), bad[:, frame.columns.get_loc(name)]) for name, count in counts.items() if count]
    return np.asarray(bad.any(axis=1)), found


def _hollow(columns: Sequence[tuple[str, Bools]], reading: Reading) -> str:
    """Return what to do about features of which most values are missing: dropping rows would leave few."""
    names = [column for column, there in columns if 2 * there.sum() > len(there) and column != reading.target]
    options = " ".join(f"--ignore {shlex.quote(column)}" for column in names[:5] if column != reading.group)
    return f", or leave columns out with {options}" if options else ""


def _fractions(frame: pd.DataFrame) -> list[str]:
    """Return the columns of numbers that are not all whole: measurements, whatever else they are."""
    floats = np.array([isinstance(kind, np.dtype) and kind.kind == "f" for kind in frame.dtypes], dtype=bool)
    floats &= frame.notna().any().to_numpy()
    names: pd.Index[Any] = frame.columns[floats]
    return names[~whole_numbers(frame.loc[:, floats].to_numpy(dtype=np.float64))].tolist() if len(names) else []


def _no_feature(column: "pd.Series[Any]") -> Problem | None:
    """Say why a column tells records apart instead of describing them, or says nothing."""
    name = str(column.name)
    if column.isna().all():
        return Problem(name, "no value in any row")
    if too_exact(column):
        return Problem(name, BEYOND)
    if row_numbers(column) == "count":
        low, high = int(column.min()), int(column.max())
        every = high - low + 1 == len(column)
        gaps = "every whole number" if every else "rising whole numbers, with gaps,"
        return Problem(name, f"row numbers ({gaps} from {low} to {high}{' once' * every})")
    if is_number(column) or pd.api.types.is_bool_dtype(column):
        return None
    levels = column.dropna().astype(str).nunique()
    if levels <= max(MOST_LEVELS, len(column) // 4):
        return None
    if with_units(column):
        return Problem(name, f"{levels} {DECORATED_WORDS} such as {str(column.dropna().iloc[0])!r}")
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
    if (fine := np.flatnonzero(rounded_away(limit))).size:
        names = some([repr(columns[at]) for at in fine], 5)
        raise InvalidInput(
            f"{name}: numbers must differ by more than 32 bits round away. Found columns {names} around "
            f"{np.median(limit[:, fine[0]]):g} with a spread of {limit[:, fine[0]].std():.2g}. Subtract a constant, or "
            "change the unit."
        )
    flags = []
    numbering: dict[str | None, list[str]] = {}
    for at in np.flatnonzero(whole_numbers(limit)):
        numbering.setdefault(row_numbers(pd.Series(limit[:, at])), []).append(repr(columns[at]))
    if unique := numbering.get("unique"):
        text = f"Whole numbers, different in every record: columns {some(unique, 5)}."
        flags.append(Flag("unique-columns", f"{text} If they are identifiers, leave them out with --ignore."))
    if rising := numbering.get("rising"):
        text = f"Whole numbers that never fall from row to row, or leave hardly one out: columns {some(rising, 5)}."
        text += " If they number persons or visits, keep each one's records together with --group, or --ignore them."
        flags.append(Flag("rising-columns", text))
    coded = [
        f"{number:g} in {int((column == number).sum())} rows of column {name!r}"
        for name, column in zip(columns, matrix[:, numbers].T, strict=True)
        if (number := sentinel(column)) is not None
    ]
    if coded:
        text = f"Numbers set apart from all others: {'; '.join(coded[:5])}."
        flags.append(Flag("missing-codes", f"{text} If they stand for missing values, empty those cells."))
    if not outside.any():
        return matrix, tuple(flags)
    far = np.flatnonzero(outside.any(0))[:5]
    where = [f"{columns[column]!r}: {first_rows(rows[outside[:, column]].tolist())}" for column in far]
    moved = matrix.copy()
    moved[:, numbers] = limit
    return moved, (*flags, outlier_flag(outside, "; ".join(where)))


def _features(inputs: pd.DataFrame) -> tuple[Floats, tuple[Feature, ...]]:
    """Numbers as they are; text and booleans as codes with named levels."""
    plain = plain_numbers(inputs)
    matrix, features = np.empty(inputs.shape), [Feature(str(column)) for column in inputs.columns]
    matrix[:, plain] = inputs.loc[:, plain].to_numpy(dtype=np.float64)
    for at in np.flatnonzero(~plain).tolist():
        values = inputs[inputs.columns[at]]
        if is_number(values):
            matrix[:, at] = values.to_numpy(dtype=np.float64)
            continue
        levels, matrix[:, at] = np.unique(values.astype(str).to_numpy(dtype=str), return_inverse=True)
        features[at] = Feature(features[at].name, tuple(str(level) for level in levels))
    return matrix, tuple(features)
