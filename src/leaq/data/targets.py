"""What target columns hold: classes or values, what is doubtful about them; of several, which labels are there."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from leaq.data.columns import SHEET_ERRORS, TO_NUMBERS, column_refusal, is_number, rounded_away, settle, with_units
from leaq.data.reading import Reading
from leaq.errors import InvalidInput, agreeing, counted, first_rows
from leaq.stats.outliers import ABSURD, absurd, sentinel
from leaq.types import Bools, Flag, Floats, Task
from leaq.types.tasks import TaskSpec

MOST_CLASSES = 20
"""Integers with more distinct values than this are taken for quantities unless the task is given."""
GRADES = 5
"""Different whole numbers from which a target may be grades or counts as well as classes."""
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
    guessed: tuple[Flag, ...] = ()
    if task == "auto":
        whole = numeric and np.array_equal(values, np.round(values.astype(float)))
        few = len(distinct) <= min(MOST_CLASSES, max(2, len(values) // 10))
        task = "classification" if not numeric or (whole and few) else "regression"
        guessed = _guessed(len(distinct), column, task) if whole else ()
    if task == "regression":
        if not numeric:
            remedy = f" {TO_NUMBERS[0].upper()}{TO_NUMBERS[1:]}." if with_units(column) else ""
            found = f"Column {column.name!r} holds text, such as {str(values[0])!r}."
            raise InvalidInput(f"{name}: a regression target must be numbers. {found}{remedy}")
        if not reading.log_target:
            _refuse_absurd(values.astype(np.float64), column, name)
        scaled, flags = _scaled(values.astype(np.float64), column, name, log=reading.log_target)
        return scaled, (), "regression", (*guessed, *flags)
    if reading.log_target:
        raise InvalidInput(f"{name}: only a regression target has logarithms. Column {column.name!r} holds classes.")
    labels, codes = np.unique(values.astype(str) if not numeric else values, return_inverse=True)
    if len(labels) > len(values) // 2:
        remedy = "Use --task regression, or another target."
        if not numeric:
            remedy = f"To predict numbers, {TO_NUMBERS}." if with_units(column) else "Name another target."
        found = f" Found texts such as {str(values[0])!r}." if not numeric else ""
        raise InvalidInput(f"{name}: {len(labels)} classes in {len(values)} records are too many.{found} {remedy}")
    if numeric and (code := sentinel(values.astype(np.float64))) is not None:
        count = int((values == code).sum())
        raise InvalidInput(
            f"{name}: the target {column.name!r} must be classes. {code:g} in {count} rows is far from all others, as "
            "a code for a missing value is. Empty those cells and drop the rows with --skip-invalid."
        )
    numbers = [isinstance(label, float | np.floating) and float(label).is_integer() for label in labels]
    names = tuple(
        str(int(label) if whole_number else label) for label, whole_number in zip(labels, numbers, strict=True)
    )
    doubts = (
        *guessed,
        *spelled_alike(names, f"Classes of {column.name!r}"),
        *_absent(codes, names, column),
        *(_uncoded(codes, labels, column) if numeric else ()),
    )
    return codes.astype(np.int64), names, "classification", doubts


def _guessed(distinct: int, column: "pd.Series[Any]", task: Task) -> tuple[Flag, ...]:
    """Say what whole numbers were taken for, where they may as well be the other: grades, counts, codes."""
    if distinct < GRADES or 2 * distinct > len(column):
        return ()
    taken, option = ("classes", "regression") if task == "classification" else ("values", "classification")
    text = f"The target {column.name!r} holds {distinct} whole numbers; they are taken for {taken}."
    return (Flag("guessed-task", f"{text} If they are not, say --task {option}."),)


TRUTH: Mapping[str, str] = dict.fromkeys(("0", "f", "false", "n", "no", "off"), "no") | dict.fromkeys(
    ("1", "t", "true", "y", "yes", "on"), "yes"
)
"""Spellings of truth values, and the one that each stands for."""


ABSENT = frozenset(
    {
        *SHEET_ERRORS,
        "?",
        "-",
        "--",
        ".",
        "n.a.",
        "n.d.",
        "nd",
        "\\n",
        "missing",
        "not available",
        "not determined",
        "unknown",
        "unlabeled",
    }
)
"""Words, in any case, that stand for no label more often than for a class."""


def _absent(codes: npt.NDArray[Any], classes: tuple[str, ...], column: "pd.Series[Any]") -> tuple[Flag, ...]:
    """Flag classes whose name says that there is no label."""
    counts = np.bincount(codes, minlength=len(classes))
    found = [f"{name!r} in {n} rows" for name, n in zip(classes, counts, strict=True) if name.strip().lower() in ABSENT]
    if not found:
        return ()
    text = f"{', '.join(found)} of {column.name!r} counts as a class."
    return (Flag("missing-codes", f"{text} If it marks records without a label, empty those cells."),)


def spelled_alike(classes: Sequence[str], said: str) -> tuple[Flag, ...]:
    """Flag words that only their spelling tells apart: one word spelled in several ways more often than several.

    Parameters
    ----------
    said : what they are, such as "Classes of 'y'".

    Examples
    --------
    >>> spelled_alike(["mild", "Mild ", "none"], "Classes of 'y'")[0].text[:75]
    "Classes of 'y' that differ in capitals, blanks or kinds of characters alone"
    """
    folded = {label: " ".join(unicodedata.normalize("NFKC", label).casefold().split()) for label in classes}
    truth = all(text in TRUTH for text in folded.values())
    spelled: dict[str, list[str]] = {}
    for label, text in folded.items():
        spelled.setdefault(TRUTH[text] if truth else text, []).append(repr(label))
    doubled = ["/".join(names) for names in spelled.values() if len(names) > 1]
    if not doubled:
        return ()
    what = "spellings of truth values" if truth else "capitals, blanks or kinds of characters"
    text = f"{said} that differ in {what} alone count as several: {', '.join(doubled)}."
    return (Flag("alike-classes", f"{text} Spell them alike if they are the same."),)


def _uncoded(codes: npt.NDArray[Any], labels: npt.NDArray[Any], column: "pd.Series[Any]") -> tuple[Flag, ...]:
    """Flag a negative class beside 0, 1, ... that is the rarest: so are records without a label coded."""
    counts = np.bincount(codes)
    if len(labels) < 3 or labels[0] >= 0 or not np.array_equal(labels[1:], np.arange(len(labels) - 1)):
        return ()
    if counts[0] >= counts[1:].min():
        return ()
    others = ", ".join(f"{label:g}" for label in labels[1:4])
    text = f"{labels[0]:g} in {counts[0]} rows of {column.name!r} is a class of its own beside {others}."
    return (Flag("missing-codes", f"{text} If it marks records without a label, empty those cells."),)


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
    if not log and rounded_away(values[:, None]).any():
        raise InvalidInput(
            f"{name}: the target {column.name!r} must vary by more than 32-bit numbers round away. Found values around "
            f"{np.median(values):g} with a spread of {values.std():.2g}. Subtract a constant, or change the unit."
        )
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


@dataclass(frozen=True)
class Several:
    """Targets of several tasks.

    Attributes
    ----------
    values : (n, t) class codes and values, NaN for holes, one row for each row of the columns as they were given.
    """

    values: Floats
    tasks: tuple[TaskSpec, ...]
    flags: tuple[Flag, ...]


def read_several(columns: pd.DataFrame, name: str, reading: Reading) -> Several:
    """Read several target columns; each is of the kind its own labels are, unless the reading says which.

    Parameters
    ----------
    columns : one a task; empty cells are holes.

    Raises
    ------
    InvalidInput
        If a task has no label, or its labels cannot be read; or records have no label at all, unless they are skipped.

    Examples
    --------
    >>> frame = pd.DataFrame({"toxic": [0, 1, None] * 10, "logS": [0.5, None, 1.5, -2.0, 3.25] * 6})
    >>> found = read_several(frame, "assays", Reading())
    >>> [(task.name, task.kind) for task in found.tasks], int(np.isnan(found.values).sum())
    ([('toxic', 'classification'), ('logS', 'regression')], 16)
    """
    settled = settle(columns)
    problems = [one for one in settled.problems if one.rows is None or not reading.skip_invalid]
    if problems:
        raise column_refusal(name, problems, targets=[problem.column for problem in problems])
    odd = {problem.column: problem.rows for problem in settled.problems}
    frame = pd.DataFrame({column: _known(settled.frame[column], odd.get(str(column))) for column in columns})
    empty = [str(column) for column in frame if not frame[column].notna().any()]
    if empty:
        raise InvalidInput(
            f"{name}: every task needs labels. Found none in {', '.join(map(repr, empty))}. Leave "
            f"{'it' if len(empty) == 1 else 'them'} out of --target."
        )
    values = np.full(columns.shape, np.nan)
    tasks: list[TaskSpec] = []
    flags: list[Flag] = []
    for at, column in enumerate(columns):
        there = frame[column].notna().to_numpy()
        known = settle(frame.loc[there, [column]]).frame[column].rename(str(column))
        values[there, at], classes, _, doubts = targets_of(known, name, reading)
        unit = "log10" if reading.log_target else ""
        tasks.append(TaskSpec(str(column), "classification" if classes else "regression", classes, unit))
        flags += doubts
    return Several(values, tuple(tasks), tuple(dict.fromkeys([*settled.flags, *flags])))


def _known(column: "pd.Series[Any]", odd: Bools | None) -> "pd.Series[Any]":
    """Return a column without blank cells, infinite numbers and words among numbers: these are no labels."""
    if is_number(column):
        return column.astype(float).replace([np.inf, -np.inf], np.nan)
    blank = column.map(lambda value: isinstance(value, str) and not value.strip()).astype(bool)
    return column.mask(blank if odd is None else blank | odd)


def labelled(several: Several, name: str, reading: Reading) -> Bools:
    """Return which rows have a label at all; refuse those that have none by number, unless they are skipped."""
    found: Bools = np.asarray(~np.isnan(several.values).all(1))
    if not found.all() and not reading.skip_invalid:
        rows = first_rows((np.flatnonzero(~found) + 1).tolist())
        raise InvalidInput(
            f"{name}: every record needs a label of at least one task. Found none in {rows}. Fill them, or drop those "
            "rows with --skip-invalid."
        )
    return found


def merged_labels(values: Floats, tasks: Sequence[TaskSpec], codes: "np.ndarray") -> tuple[Floats, tuple[Flag, ...]]:
    """Merge the labels of rows of one code (n,) into (c, t): values are averaged, contradicting classes become holes.

    Examples
    --------
    >>> toxic = TaskSpec("toxic", "classification", ("no", "yes"))
    >>> merged, flags = merged_labels(np.array([[0.0], [1.0], [1.0]]), [toxic], np.array([0, 0, 1]))
    >>> merged.tolist(), [flag.code for flag in flags]
    ([[nan], [1.0]], ['conflicting-labels'])
    """
    frame = pd.DataFrame(values)
    groups = frame.groupby(codes)
    found: Floats = groups.mean().to_numpy(dtype=np.float64, copy=True)
    differ = groups.nunique().to_numpy() > 1
    kinds = np.array([task.kind == "classification" for task in tasks])
    conflicts, averaged = int(differ[:, kinds].sum()), int(differ[:, ~kinds].sum())
    found[differ & kinds] = np.nan
    flags = []
    if conflicts:
        text = f"{counted(conflicts, 'label')} in contradiction to another of the same molecule, taken for missing."
        flags.append(Flag("conflicting-labels", text))
    if averaged:
        flags.append(Flag("averaged-labels", f"{counted(averaged, 'label')} had several values; the mean is used."))
    return found, tuple(flags)


def holes(values: Floats) -> tuple[Flag, ...]:
    """Say how many labels are missing.

    Examples
    --------
    >>> holes(np.array([[0.0, np.nan]]))[0].text
    '1 of 2 labels is missing (50 %): it counts in no loss, no metric and no attack.'
    """
    missing = int(np.isnan(values).sum())
    if not missing:
        return ()
    share = f"{missing / values.size:.0%}".replace("%", " %")
    of = f"{missing:,} of {values.size:,} labels {agreeing(missing, 'are')} missing ({share})"
    text = f"{of}: {'it counts' if missing == 1 else 'they count'} in no loss, no metric and no attack."
    return (Flag("holes", text),)


def copies(inputs: Floats, targets: Floats) -> list[int]:
    """Return which columns of (n, d) say a target (n,) in other words, and need nothing learnt.

    Such a column has a value of its own for each value of the target: a second spelling of the class, a logarithm or
    another unit of a measurement. Of targets of more than 20 values the order must be that of the target, or its
    reverse.

    Examples
    --------
    >>> y = np.array([0.0, 1.0, 1.0, 0.0])
    >>> copies(np.stack([7 - 2 * y, y + np.arange(4), y], axis=1), y)
    [0, 2]
    """
    known = ~np.isnan(targets)
    order = np.flatnonzero(known)[np.argsort(targets[known], kind="stable")]
    steps = np.diff(targets[order]) > 0
    ordered = int(steps.sum()) >= MOST_CLASSES
    found = []
    for at in range(inputs.shape[1]):
        moves = np.diff(inputs[order, at])
        if not np.array_equal(moves != 0, steps):
            continue
        up = moves[steps] > 0
        starts = inputs[order, at][np.r_[True, steps]]
        if (up.all() or not up.any()) if ordered else len(np.unique(starts)) == len(starts):
            found.append(at)
    return found if steps.any() else []
