"""Which records of a table trained a model that is released."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from leaq.data.memory import in_memory, table_of
from leaq.data.readers import SourceTable, read_table
from leaq.errors import InvalidInput, NotEnoughEvidence, first_rows, some
from leaq.types import Bools, Flag, Samples

FEWEST = 20
"""Members, and non-members, without which no attack number means anything."""


def marked(table: SourceTable, members: Any, *, target: str | None) -> tuple[SourceTable, Bools]:
    """Return a table that holds all members, and which of its rows they are, (rows,).

    Parameters
    ----------
    members : a file, a data frame or a pair ``(X, y)`` with the table's columns, each row of which is found among the
        table's (one row for one) or added to them; or a mask of the table's rows, or their numbers counted from 1.

    Raises
    ------
    InvalidInput
        If columns are missing, or there are no such rows.
    """
    numbers = isinstance(members, list | tuple) and all(isinstance(one, int | np.integer) for one in members)
    if numbers or not (isinstance(members, str | Path) or in_memory(members)):
        return table, _chosen(np.asarray(members), len(table.frame))
    found = SourceTable(table_of(members, target)[0]) if in_memory(members) else read_table(Path(members))
    columns = list(table.frame.columns)
    missing = [str(column) for column in columns if column not in found.frame.columns]
    if missing:
        raise InvalidInput(
            f"members: must have the columns of the source. Missing: {some(missing, 5)}. Save both from the same table."
        )
    theirs = found.frame[columns]
    known, wanted = _codes(table.frame, theirs)
    inside = np.zeros(len(known), dtype=bool)
    places: dict[int, list[int]] = {}
    for row, code in enumerate(known[::-1]):
        places.setdefault(int(code), []).append(len(known) - 1 - row)
    new = []
    for row, code in enumerate(wanted):  # the first row that equals a member and is no other member yet
        if left := places.get(int(code)):
            inside[left.pop()] = True
        else:
            new.append(row)
    frame = pd.concat([table.frame, theirs.iloc[new]], ignore_index=True) if new else table.frame
    text = f"Of {len(theirs)} members, {len(theirs) - len(new)} are rows of the source"
    text += f"; {len(new)} are not, and stand after them, counted from row {len(known) + 1}." if new else "."
    return SourceTable(frame, (*table.flags, Flag("members", text)), table.shape), np.r_[
        inside, np.ones(len(new), dtype=bool)
    ]


def _codes(*frames: pd.DataFrame) -> list[Any]:
    """Return one number a row, equal where rows are; numbers are compared as numbers, everything else as text."""
    both = pd.concat(frames, ignore_index=True)
    for column in both.columns:
        numbers = pd.to_numeric(both[column], errors="coerce")
        both[column] = numbers if numbers.notna().all() else both[column].astype(str)
    _, codes = np.unique(pd.util.hash_pandas_object(both, index=False).to_numpy(), return_inverse=True)
    return np.split(codes, [len(frames[0])])


def _chosen(members: Any, rows: int) -> Bools:
    if members.dtype == bool and members.shape == (rows,):
        return np.asarray(members)
    if members.ndim == 1 and members.dtype.kind in "iu" and members.dtype != bool:
        if len(members) and (members.min() < 1 or members.max() > rows):
            raise InvalidInput(f"members: row numbers must lie in 1..{rows}. Found {members.min()}..{members.max()}.")
        mask = np.zeros(rows, dtype=bool)
        mask[members - 1] = True
        return mask
    raise InvalidInput(
        f"members: must be a table with the source's columns, a mask of its {rows} rows, or row numbers counted from "
        f"1. Found {members.dtype} of shape {members.shape}."
    )


def released_on(samples: Samples, inside: Bools) -> Samples:
    """Return records that know which of them trained a released model.

    Raises
    ------
    NotEnoughEvidence
        If there are fewer than 20 on either side.
    InvalidInput
        If a record is on both: records of one group are equal, or belong together.
    """
    for word, count in (("members", int(inside.sum())), ("non-members", int((~inside).sum()))):
        if count < FEWEST:
            raise NotEnoughEvidence(
                f"A released model is audited on at least {FEWEST} {word}. Found {count}. "
                + ("Name a source with records that did not train it." if word == "non-members" else "Add members.")
            )
    _, group = np.unique(samples.groups, return_inverse=True)
    sides = np.stack([np.bincount(group, weights=side) for side in (inside, ~inside)])
    torn: Bools = np.asarray((sides > 0).all(0))[group]
    flags = samples.flags
    if torn.any():
        where = first_rows(samples.ids[torn & ~inside].tolist())
        text = f"Non-members that equal a member, or belong together with one: {where}; attacks look quieter."
        flags = (*flags, Flag("overlap", text))
    return replace(samples, released_on=inside, flags=flags)
