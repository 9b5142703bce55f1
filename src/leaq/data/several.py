"""Several target columns with holes: what each is, which labels are there, and which classes are too rare to audit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from leaq.data.columns import column_refusal, is_number, settle
from leaq.data.reading import Reading
from leaq.data.targets import targets_of
from leaq.errors import InvalidInput, first_rows
from leaq.types import Bools, Flag, Floats
from leaq.types.tasks import TaskSpec


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
        raise column_refusal(name, problems)
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
        text = f"{conflicts} labels that contradict another of the same molecule were taken for missing."
        flags.append(Flag("conflicting-labels", text))
    if averaged:
        flags.append(Flag("averaged-labels", f"{averaged} labels had several values; their mean is used."))
    return found, tuple(flags)


def holes(values: Floats) -> tuple[Flag, ...]:
    """Say how many labels are missing.

    Examples
    --------
    >>> holes(np.array([[0.0, np.nan]]))[0].text
    '1 of 2 labels are missing (50 %): they count in no loss, no metric and no attack.'
    """
    missing = int(np.isnan(values).sum())
    if not missing:
        return ()
    share = f"{missing / values.size:.0%}".replace("%", " %")
    text = (
        f"{missing:,} of {values.size:,} labels are missing ({share}): they count in no loss, no metric and no attack."
    )
    return (Flag("holes", text),)
