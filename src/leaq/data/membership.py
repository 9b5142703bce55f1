"""Which records of a table trained a model that is released."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from leaq.data.chemistry import molecule_keys
from leaq.data.columns import is_number, settle
from leaq.data.matching import same_rows
from leaq.data.memory import in_memory, table_of
from leaq.data.readers import SourceTable, read_table
from leaq.data.reading import Reading
from leaq.errors import InvalidInput, NotEnoughEvidence, first_rows, some
from leaq.types import Bools, Flag, Ints, Samples
from leaq.types.arrays import memberships

FEWEST = 20
"""Members, and non-members, without which no attack number means anything."""


def marked(
    table: SourceTable, members: Any, reading: Reading, *, smiles: str | None = None
) -> tuple[SourceTable, Bools]:
    """Return a table that holds all members, and which of its rows they are, (rows,).

    Parameters
    ----------
    members : a file, a data frame or a pair ``(X, y)`` with the table's columns, each row of which is found among the
        table's (one row for one, whatever dialect and precision either was saved in) or added to them; or a mask of
        the table's rows, or their numbers counted from 1.
    smiles : the column of molecules: every row of one molecule is a member where one of them is, however it is drawn.
    reading : of the table; by columns it ignores no row is told.

    Raises
    ------
    InvalidInput
        If columns are missing, there are no such rows, or words that stand in a column are others on either side.
    """
    rows, strip = len(table.frame), reading.strip_salts
    numbers = isinstance(members, list | tuple) and all(isinstance(one, int | np.integer) for one in members)
    if numbers or not (isinstance(members, str | Path) or in_memory(members)):
        inside, told = _chosen(np.asarray(members), rows)
        table = replace(table, flags=(*table.flags, *told))
        return table, _of_molecules(_keys(table.frame[smiles], strip), inside) if smiles else inside
    found = SourceTable(table_of(members, reading.target)[0]) if in_memory(members) else read_table(Path(members))
    columns = [column for column in table.frame.columns if column not in reading.ignore]
    needed = columns if smiles is None else [smiles, *reading.targets(columns)]
    missing = [str(column) for column in needed if column not in found.frame.columns]
    if missing:
        raise InvalidInput(
            f"members: must have the columns of the source. Missing: {some(missing, 5)}. Save both from the same table."
        )
    ours, theirs = settle(table.frame), settle(found.frame[[one for one in columns if one in found.frame.columns]])
    if smiles is None:
        place = same_rows(ours.frame[columns], theirs.frame[columns])
    else:
        keys, others = (_keys(one.frame[smiles], strip) for one in (table, found))
        place = _same_molecules(keys, others)
    new = np.flatnonzero(place < 0)
    if len(new) and smiles is None:
        _refuse_other_words(ours.frame[columns], theirs.frame)
    inside = np.r_[np.isin(np.arange(rows), place), np.ones(len(new), dtype=bool)]
    frame = pd.concat([ours.frame, theirs.frame.iloc[new]], ignore_index=True) if len(new) else table.frame
    if smiles is not None:
        inside = _of_molecules(pd.concat([keys, others.iloc[new]], ignore_index=True), inside)
    what = "rows" if smiles is None else "molecules"
    text = f"Of {len(place)} members, {len(place) - len(new)} are {what} of the source"
    text += f"; {len(new)} are not, and stand after them, counted from row {rows + 1}." if len(new) else "."
    if len(new) == len(place):
        text += " If they should be, both must be in the same units and on the same scale."
    forms = (*ours.flags, *(flag for flag in theirs.flags if flag not in ours.flags)) if len(new) else ()
    return replace(table, frame=frame, flags=(*table.flags, *forms, Flag("members", text))), inside


def _keys(smiles: "pd.Series[Any]", strip_salts: bool) -> "pd.Series[str]":
    return pd.Series(molecule_keys(smiles, strip_salts=strip_salts), dtype=object)


def _same_molecules(source: "pd.Series[str]", members: "pd.Series[str]") -> Ints:
    """Return the first row of the source that has each member's key, (n,), -1 for none."""
    first: dict[str, int] = {}
    for row, key in enumerate(source):
        first.setdefault(key, row)
    return np.array([first.get(key, -1) for key in members], dtype=np.int64)


def _of_molecules(keys: "pd.Series[str]", inside: Bools) -> Bools:
    """Return the rows of the molecules that some row inside is a drawing of: they become one record."""
    return np.asarray(keys.isin(keys[inside]))


def _refuse_other_words(source: pd.DataFrame, members: pd.DataFrame) -> None:
    """Refuse members that are rows of their own with none of the source's words in a column: other spellings."""
    for name in source.columns:
        words = [set(column.dropna().map(str).str.strip()) for column in (source[name], members[name])]
        if all(map(is_number, (source[name], members[name]))) or not all(words) or words[0] & words[1]:
            continue
        ours, theirs = (some([repr(word) for word in sorted(found)], 3) for found in words)
        raise InvalidInput(
            f"members: words must be spelled as in the source. Of column {name!r} the source has {ours}, the members "
            f"{theirs}, and none in common. Spell them alike."
        )


def _chosen(members: Any, rows: int) -> tuple[Bools, tuple[Flag, ...]]:
    """Return the mask that truth values, 0 and 1, or row numbers stand for, and what is doubtful about it."""
    if members.shape == (rows,) and (members.dtype == bool or bool(((members == 0) | (members == 1)).all())):
        return memberships(members, name="members", shape=(rows,)), ()
    if members.ndim == 1 and members.dtype.kind in "iu":
        if len(members) and (members.min() < 1 or members.max() > rows):
            raise InvalidInput(
                f"members: row numbers must lie in 1..{rows}. Found {members.min()}..{members.max()}. Count from 1, or "
                "give a mask."
            )
        mask = np.zeros(rows, dtype=bool)
        mask[members - 1] = True
        text = "Members were given by row numbers, counted from 1. If yours count from 0, add 1 or give a mask."
        return mask, () if rows in members else (Flag("row-numbers", text),)
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
