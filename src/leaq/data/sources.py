"""Whether a source is there to be read: a known name or a file. Nothing that computes is loaded to tell."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from leaq.data.catalogue import SHIPPED, TASKS
from leaq.errors import InvalidInput, closest, unknown_name
from leaq.system.files import is_model, refuse_missing

FORMATS = (".csv", ".tsv", ".txt", ".jsonl", ".parquet", ".npz", ".sdf")
ELSEWHERE = {
    ".xlsx": "Save the sheet as CSV (UTF-8).",
    ".xls": "Save the sheet as CSV (UTF-8).",
    ".ods": "Save the sheet as CSV (UTF-8).",
    ".json": "Write one record a line (JSON lines, .jsonl; pandas: to_json(path, orient='records', lines=True)).",
    ".pkl": "Pickles are not opened; write it as Parquet or CSV.",
    ".ndjson": "It holds JSON lines: name it .jsonl.",
    ".pq": "It holds Parquet: name it .parquet.",
    ".npy": "Keep features and target together as NPZ: numpy.savez(path, x=..., y=...).",
    ".smi": "Give it a header such as 'smiles y' and name it .txt.",
    **dict.fromkeys(("", ".dat", ".data"), "If it is a text with a header of columns, name it .csv or .txt."),
    **dict.fromkeys((".feather", ".arrow", ".orc", ".h5", ".hdf5", ".dta", ".sav"), "Write it as Parquet."),
    **dict.fromkeys((".gz", ".zip", ".bz2", ".xz", ".zst", ".tar", ".7z"), "Unpack it first."),
}
"""What is said of files that are tables elsewhere."""
HEADED = frozenset({".csv", ".tsv", ".txt"})
"""How the names of files end whose first line names the columns."""


def names() -> tuple[str, ...]:
    """Return every data set known by name.

    Examples
    --------
    >>> "wine" in names()
    True
    """
    return (*TASKS, *SHIPPED)


def check_source(source: str | Path) -> None:
    """Refuse what is neither a data set's name nor an existing file, naming the closest.

    Raises
    ------
    InvalidInput
        If it looks like a file and there is none.
    UnknownName
        If it is no known name either.

    Examples
    --------
    >>> check_source("wine")
    >>> check_source("breastcancer")
    Traceback (most recent call last):
    leaq.errors.UnknownName: Unknown data set 'breastcancer'. Did you mean 'breast_cancer'? Known: ...
    """
    name, path, known = str(source), Path(source), {**TASKS, **SHIPPED}
    if is_synthetic(name) or name in known:
        return
    if is_model(path):
        refuse_missing(path)
        return
    if "://" in name:
        raise InvalidInput(f"A source must be a file here. Found the address {name!r}. Download it first.")
    if not path.suffix and not path.exists():
        raise unknown_name("data set", name, known)
    refuse_missing(path)
    refuse_other_files(path)


def check_columns(source: str | Path, named: Mapping[str, Sequence[str]]) -> None:
    """Refuse a column that the head of a text table does not name, before the table is read.

    Only what is certain is refused: a name that stands nowhere in a head that can be read. The rest is for who reads.

    Parameters
    ----------
    named : by option, e.g. ``{"--target": ("y",)}``, or ``("y,b",)`` of several.

    Raises
    ------
    InvalidInput
        With the columns there are, and the nearest.
    """
    path = Path(source)
    if path.suffix.lower() not in HEADED or not path.is_file():
        return
    with path.open("rb") as file:
        head = file.readline(2**16)
    try:
        line = head.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        return
    if not head.endswith(b"\n") or line.lower().startswith(("sep=", "#", "%", "//")) or line.count('"') % 2:
        return
    known = max((next(csv.reader([line], delimiter=mark), []) for mark in ",;\t|"), key=len)
    for option, columns in named.items():
        # What is no column as it stands may be several with commas between them.
        for name in (part for one in columns for part in ([one] if one in line else map(str.strip, one.split(",")))):
            if name not in line:
                raise no_column(path.name, name, option, [one.strip() for one in known])


def left_out(
    names: Sequence[str], columns: Sequence[str], *, needed: Sequence[str | None] = (), source: str = "table"
) -> tuple[str, ...]:
    """Return the columns to leave out by their whole names: one with a comma in it arrives as several.

    Raises
    ------
    InvalidInput
        If there is no such column, or it is needed.

    Examples
    --------
    >>> left_out(["id", "weight", "kg"], ["id", "weight, kg", "y"])
    ('id', 'weight, kg')
    """
    found, rest = list[str](), list(names)
    while rest:
        joined = ((end, mark.join(rest[:end])) for end in range(1, len(rest) + 1) for mark in (",", ", "))
        end, name = next(((end, name) for end, name in joined if name in columns), (0, rest[0]))
        if not end:
            raise no_column(source, name, "--ignore", columns)
        if name in needed:
            raise InvalidInput(f"{source}: a column that is needed cannot be left out. Found {name!r} in --ignore.")
        found.append(name)
        rest = rest[end:]
    return tuple(found)


def no_column(source: str, name: str, option: str, known: Sequence[str]) -> InvalidInput:
    """Return the refusal of a column that a table does not have."""
    hint = closest(name, known)
    if len(known) == 1:
        hint = " Separators that are recognised: comma, semicolon, tab, bar, blanks."
    return InvalidInput(f"{source}: there is no column {name!r} ({option}). Columns: {', '.join(known)}.{hint}")


def refuse_other_files(path: Path) -> None:
    """Refuse a folder, a file that is no table, and one without a byte."""
    if path.is_dir():
        raise InvalidInput(f"{str(path)!r} is a folder. Name a file of type {', '.join(FORMATS)}.")
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise InvalidInput(
            f"{path.name}: file type must be one of {', '.join(FORMATS)}. Found {suffix or 'none'!r}."
            + (f" {ELSEWHERE[suffix]}" if suffix in ELSEWHERE else "")
        )
    if path.stat().st_size == 0:
        raise InvalidInput(f"{path.name}: the file is empty (0 bytes).")


def is_synthetic(source: str) -> bool:
    """Tell whether a source is a specification such as ``mixture(modes=4)`` and not a name or a file."""
    return source == "mixture" or source.startswith("mixture(")
