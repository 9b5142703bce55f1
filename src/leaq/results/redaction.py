"""What leaves the house: aggregates only, and no folder names; of a cleaned run, no word of the source's either."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from leaq.results import CellResult, QuantizerRow
from leaq.results.former import Renamed
from leaq.types import AttackResult, Flag, NotComputed

COLUMNS = ("target", "smiles", "group", "ignore")
"""Options that name columns of the source."""
PLACES = ("source", "model", "recipe", "released", "members", "nonmembers", "recorded", "reference")
"""Options that name a file or a folder."""
STAND_IN = "COLUMN"
"""What stands for a column's name where it was taken out."""


def shareable(result: CellResult) -> CellResult:
    """Return the result without the risk of single records, row numbers, unused columns and the source's folder."""

    def plain(row: QuantizerRow) -> QuantizerRow:
        return replace(row, attacks=Renamed(row.attacks).changed(_without_risk), flags=_flags(row.flags))

    config = shareable_config(result.config)
    return replace(result, **_each_row(result, plain), private={}, flags=_flags(result.flags), config=config)


def _each_row(result: CellResult, change: Callable[[QuantizerRow], QuantizerRow]) -> dict[str, Any]:
    kinds = ("rows", "together", "references")
    return {kind: tuple(change(row) for row in getattr(result, kind)) for kind in kinds}


def cleaned(result: CellResult) -> CellResult:
    """Return what `shareable` does, without the names of the source's columns either."""
    plain = shareable(result)
    named = _named(result.config)
    known = plain.data.get("tasks", ())
    names = {one["name"]: f"{STAND_IN} {at}" for at, one in enumerate(known, start=1)}
    data = {**plain.data, **({"tasks": [{**one, "name": names[one["name"]]} for one in known]} if known else {})}

    def bare(row: QuantizerRow) -> QuantizerRow:
        return replace(row, by_task={names.get(name, STAND_IN): one for name, one in row.by_task.items()})

    flags = tuple(replace(flag, text=_without(flag.text, named)) for flag in plain.flags)
    config = cleaned_config(plain.config)
    return replace(plain, **_each_row(plain, bare), data=data, flags=flags, config=config)


def cleaned_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of an audit or a study without folders and the names of columns.

    Examples
    --------
    >>> cleaned_config({"source": "/home/ada/patients.csv", "target": "hiv", "ignore": ["ward"], "seed": 0})
    {'source': 'patients.csv', 'target': 'COLUMN', 'ignore': ['COLUMN'], 'seed': 0}
    """
    plain = {key: _cleaned_value(key, value) for key, value in config.items()}
    return shareable_config(plain)


def _cleaned_value(key: str, value: Any) -> Any:
    if key in COLUMNS and value:
        return STAND_IN if isinstance(value, str) else [STAND_IN for _ in value]
    if key in ("data", "audit"):  # of a study: one table a data set, and what they share
        return [cleaned_config(item) for item in value] if isinstance(value, list | tuple) else cleaned_config(value)
    return value


def _named(config: Mapping[str, Any]) -> list[str]:
    found = [config.get(key) or () for key in COLUMNS]
    names = [name for each in found for name in ([each, *each.split(",")] if isinstance(each, str) else each)]
    return sorted(set(names), key=len, reverse=True)


def _without(text: str, names: Sequence[str]) -> str:
    for name in names:
        text = text.replace(repr(name), STAND_IN)
    return text


WITHOUT_NAMES: Mapping[str, str] = {
    "unused-columns": "Columns beside the SMILES are not used.",
    "index-column": "A saved index was left out.",
    "members": "The members of the released model were found among the source's rows, or added to them.",
    "overlap": "Some non-members equal a member, or belong together with one; attacks look quieter.",
    "decimal-commas": "Numbers with a decimal comma were read as numbers.",
    "bounds": "A column beside the target marks some of its values as bounds.",
    "mixed-units": "A column beside the target names several units.",
    "one-hot": "Several target columns, one a class, were read as one target.",
    "numbers-as-text": "Numbers kept as text were read as numbers.",
    "thousands": "Numbers with thousands set off were read as numbers.",
    "numbers-among-words": "Words that begin with a number are categories without an order.",
    "nameless-columns": "Some columns without a name are features.",
    "alike-classes": "Some classes or categories that only their spelling tells apart count as several.",
    "guessed-task": "The target holds whole numbers; whether they are classes or values was guessed.",
    "heavy-tail": "The target is heavy-tailed: its few largest values rule every squared error.",
    "kept-words": "Words that stand for missing values elsewhere were read as words.",
    "unique-columns": "Some columns hold whole numbers that are different in every record.",
    "rising-columns": "Some columns hold whole numbers that may number persons or visits.",
    "target-copies": "Some columns hold the target in other words.",
    "missing-codes": "Some columns hold a number set apart from all others, perhaps for missing values.",
}
"""What flags say whose text names columns or words of the source."""
_ROWS = re.compile(r"(\d+ rows?) \([\d, .]+\)")
_PLACED = re.compile(r" \('.*?\)(?=,? (?:and were )?moved to)")
_COUNTED = re.compile(r" \(columns .*?\)(?=\.|:| )")


def _flags(flags: Sequence[Flag]) -> tuple[Flag, ...]:
    """Take out which rows were dropped and which columns were not used: both tell of single records and of the file."""
    found = []
    for flag in flags:
        text = WITHOUT_NAMES.get(flag.code, flag.text)
        if flag.code == "limited-outliers":
            text = _PLACED.sub("", text)
        if flag.code == "dropped-rows":
            text = _COUNTED.sub("", _ROWS.sub(r"\1", text))
        found.append(flag if text == flag.text else replace(flag, text=text))
    return tuple(found)


def _without_risk(found: AttackResult | NotComputed) -> AttackResult | NotComputed:
    return replace(found, risk=None) if isinstance(found, AttackResult) and found.risk is not None else found


def shareable_digest(result: CellResult) -> str:
    """Return the SHA-256 of every number of a result that may be shared."""
    return hashlib.sha256(shareable(result).to_json(timings=False).encode()).hexdigest()


def shareable_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration with folders taken off file names: they may name people and projects.

    Examples
    --------
    >>> shareable_config({"source": "/home/ada/trial-7/patients.csv", "embedder": "saved(path='~/nets/v2')", "seed": 0})
    {'source': 'patients.csv', 'embedder': "saved(path='v2')", 'seed': 0}
    """
    plain = {key: _bare(value) for key, value in config.items()}
    for key in PLACES:
        if isinstance(plain.get(key), str) and _SEPARATOR.search(plain[key]):
            plain[key] = PurePosixPath(PureWindowsPath(plain[key]).name).name
    if isinstance(plain.get("data"), list):  # of a study
        plain["data"] = [shareable_config(item) if isinstance(item, Mapping) else item for item in plain["data"]]
    return plain


_FOLDERS = re.compile(r"(?<![\w.~/\\])(?:[A-Za-z]:|~|\.{1,2})?[/\\]+(?:[^'\"(),=/\\]+[/\\]+)*")
"""The folders of a path that starts at a root, a home, a drive or here; names such as ``owner/model`` stay whole."""


_SEPARATOR = re.compile(r"[/\\:]")


def _bare(value: Any) -> Any:
    """Take folders off every string in a configuration."""
    if value is None or isinstance(value, int | float):  # most are: thousands of cells have a hundred thousand
        return value
    if isinstance(value, str):
        return _FOLDERS.sub("", value) if "/" in value or "\\" in value else value
    if isinstance(value, Mapping):
        return {key: _bare(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_bare(item) for item in value]
    return value
