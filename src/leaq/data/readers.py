"""Files into data frames, with a word about every guess; nothing is dropped or filled here."""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from leaq.data.chemistry import MOST_ATOMS
from leaq.data.columns import commas_in, points_set_off_thousands, refuse_repeated
from leaq.data.delimited import BLANKS, decoded_text, laid_out
from leaq.data.sources import refuse_other_files
from leaq.errors import InvalidInput, LeaqError, counted, need, some
from leaq.system.checksummed import read_npz
from leaq.system.files import refuse_missing, refuse_stand_in
from leaq.system.memory import refuse_larger
from leaq.types import Flag

STRUCTURE = "smiles"
"""The column that holds the structures of an SD file."""
ROWS = 4096
"""Rows of a Parquet file whose size is looked at together."""
TEXT = 12
"""Bytes that a byte of text takes until it is known what it says; measured, rounded up."""
READ = 3
"""Bytes that a byte of a CSV file or of JSON lines takes at least: as it is, as text, as numbers."""
BLOCK = 1 << 21
"""Bytes of a structure in an SD file; one of `MOST_ATOMS` has half of it."""
TWICE = "field twice"
LEADING = re.compile(r"(?:^|[,;\t|\"])[ ]*0\d", re.MULTILINE)
BLANK = "Unnamed: "
"""How pandas names a column without a name."""


@dataclass(frozen=True)
class SourceTable:
    """A file's records as they stand in it, and what had to be guessed to read them.

    Attributes
    ----------
    shape : of one record, where its columns are an image or another array laid flat.
    arrays : by name, the columns that arrays of several columns became.
    """

    frame: pd.DataFrame
    flags: tuple[Flag, ...] = ()
    shape: tuple[int, ...] = ()
    arrays: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read_frame(path: Path) -> pd.DataFrame:
    """Return the records of a file without a word; see `read_table`."""
    return read_table(path).frame


def read_table(path: Path) -> SourceTable:
    """Return the table in a file.

    CSV and TSV need a header row; separator and encoding are recognised, and said where they are not a file's usual
    ones. JSON lines hold one flat record a line. NPZ needs arrays of equal length; a two-dimensional array ``X``
    becomes columns X0, X1, ..., or X if it has one. Pickled arrays are refused. An SD file becomes a column ``smiles``
    and one column a property; structures RDKit cannot read are missing SMILES.
    """
    refuse_missing(path)
    refuse_other_files(path)
    refuse_stand_in(path)
    suffix = path.suffix.lower()
    try:
        table = _READERS[suffix](path)
    except LeaqError:
        raise
    except Exception as err:  # each format's library has a dozen of its own
        reason = str(err).strip().splitlines()[0] if str(err).strip() else type(err).__name__
        raise InvalidInput(f"{path.name}: cannot be read as {suffix[1:].upper()} ({reason}).") from None
    frame = table.frame
    frame.columns = frame.columns.map(lambda name: str(name).strip())
    if frame.empty:
        raise InvalidInput(f"{path.name}: the table has a header but no rows.")
    refuse_repeated(frame.columns, path.name)
    return table


def _csv(path: Path) -> SourceTable:
    refuse_larger(READ * path.stat().st_size, name=path.name)
    usual = "\t" if path.suffix.lower() == ".tsv" else ","
    text, separator, flags = laid_out(path.read_bytes(), usual=usual, where=path.name)
    options: dict[str, Any] = {"sep": separator, "skipinitialspace": True}
    frame = pd.read_csv(io.StringIO(text), **options)
    if not isinstance(frame.index, pd.RangeIndex) or _is_longer(text, separator):
        frame = _one_field_more(frame, text, options, flags)
    frame = _without_blanks(frame, flags)
    frame = _with_codes(frame, text, options)
    frame = _with_thousands(frame, text, options, flags)
    hollow = frame.isna().all().to_numpy()
    words = [
        str(name)
        for name, kind, empty in zip(frame.columns, frame.dtypes, hollow, strict=True)
        if empty or not pd.api.types.is_numeric_dtype(kind)
    ]
    frame, kept = _with_words(frame, words, text, options)
    if kept:
        said = "; ".join(f"{word!r} in {count} rows of column {name!r}" for name, word, count in kept[:5])
        flags.append(Flag("kept-words", f"Words that stand for missing values elsewhere were read as words: {said}."))
    return SourceTable(frame, tuple(flags))


def _is_longer(text: str, separator: str) -> bool:
    """Whether the first record has more fields than the header: pandas shows no trace of row names from 0."""
    if separator == BLANKS:
        return False
    rows = csv.reader(io.StringIO(text, newline=None), delimiter=separator, skipinitialspace=True)
    header, first = (next((row for row in rows if row), []) for _ in range(2))
    return len(first) > len(header)


def _one_field_more(frame: pd.DataFrame, text: str, options: dict[str, Any], flags: list[Flag]) -> pd.DataFrame:
    """Read a file whose records have a field more than its header: a separator at the end, or row names in front."""
    if frame.iloc[:, -1].isna().all():
        flags.append(Flag("trailing-separators", "Every record ends in a separator that the header lacks."))
        options["index_col"] = False
        found: pd.DataFrame = pd.read_csv(io.StringIO(text), **options)
        return found
    if isinstance(frame.index, pd.MultiIndex):
        raise ValueError("records have more fields than the header has names")
    if not frame.index.is_unique:
        raise ValueError(
            "records have one field more than the header has names, and the first does not tell them apart as a row "
            "name would; where decimals are set off by the separator, save the file with semicolons"
        )
    flags.append(Flag("index-column", "The first field of every record has no name; it was left out as a row name."))
    return frame.reset_index(drop=True)


def _without_blanks(frame: pd.DataFrame, flags: list[Flag]) -> pd.DataFrame:
    """Leave out nameless columns that hold nothing, or only the numbers of the rows."""
    nameless = [str(name) for name in frame.columns if str(name).startswith(BLANK)]
    empty = [name for name in nameless if frame[name].isna().all()]
    if empty:
        text = f"{counted(len(empty), 'column')} without a name and without values left out."
        flags.append(Flag("empty-columns", text))
    # A whole number of its own for every row: an index, also of a part or in another order.
    whole = [name for name in nameless if name not in empty and pd.api.types.is_integer_dtype(frame[name])]
    numbers = [name for name in whole if frame[name].is_unique]
    if numbers:
        flags.append(Flag("index-column", "A nameless column that numbers the rows was left out (a saved index)."))
    kept = [name for name in nameless if name not in empty and name not in numbers]
    if kept:
        flags.append(Flag("nameless-columns", f"Columns without a name are features: {some(kept, 5)}."))
    return frame.drop(columns=[*empty, *numbers])


def _with_codes(frame: pd.DataFrame, text: str, options: dict[str, Any]) -> pd.DataFrame:
    """Put back the zeros that whole numbers begin with: 01234 is a code, not 1234."""
    whole = [name for name, kind in frame.dtypes.items() if pd.api.types.is_integer_dtype(kind)]
    if not whole or LEADING.search(text) is None:
        return frame
    raw = _as_text(text, options)
    for name in whole:
        if raw[name].str.match(r"0\d").any():
            frame[name] = raw[name].to_numpy()
    return frame


def _with_thousands(frame: pd.DataFrame, text: str, options: dict[str, Any], flags: list[Flag]) -> pd.DataFrame:
    """Read 1.234 as a thousand where other columns have decimal commas: pandas takes the point for a decimal one."""
    if not commas_in(frame):
        return frame
    raw = _as_text(text, options)
    turned = [name for name in frame.columns if points_set_off_thousands(raw[name])]
    for name in turned:
        frame[name] = pd.to_numeric(raw[name].str.strip().str.replace(".", "", regex=False)).to_numpy()
    if turned:
        names = ", ".join(repr(str(name)) for name in turned)
        flags.append(Flag("thousands", f"Points set off thousands, since decimals have commas here: columns {names}."))
    return frame


def _as_text(text: str, options: dict[str, Any]) -> pd.DataFrame:
    """Return the same records as they are spelled; only empty cells are missing."""
    raw: pd.DataFrame = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False, na_values=[""], **options)
    return raw.reset_index(drop=True)


def _with_words(
    frame: pd.DataFrame, words: Sequence[str], text: str, options: dict[str, Any]
) -> tuple[pd.DataFrame, list[tuple[str, str, int]]]:
    """Put back the words NA, None and the like where a column holds words; pandas takes them for missing values."""
    hollow = [name for name in words if frame[name].isna().any()]
    said: list[tuple[str, str, int]] = []
    if not hollow:
        return frame, said
    raw = _as_text(text, options)
    for name in hollow:
        known = frame[name].dropna().astype(str)
        if pd.to_numeric(known.str.replace(",", "."), errors="coerce").notna().mean() > 0.5:
            continue  # numbers with words among them: NA is no value there
        kept = raw[name].isin(["NA", "None"]) & frame[name].isna()
        if kept.any():
            frame[name] = frame[name].astype(object).where(~kept, raw[name])
            said += [(name, str(word), int(count)) for word, count in raw[name][kept].value_counts().items()]
    return frame, said


def _json_lines(path: Path) -> SourceTable:
    refuse_larger(READ * path.stat().st_size, name=path.name)
    rows = []
    # Lines end in a line feed alone: texts may hold the other characters that count as ends of lines.
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=_named_once)
        except ValueError as err:
            if str(err).startswith(TWICE):
                raise ValueError(f"line {number} holds a {err}") from None
            raise ValueError(f"line {number} is no JSON") from None
        if not isinstance(row, dict):
            raise ValueError(f"line {number} is no record with named fields")
        rows.append(row)
    return SourceTable(pd.DataFrame(rows))


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return one object's fields; json itself would keep the last of those with the same name."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"{TWICE}: {next(name for name, _ in pairs if [n for n, _ in pairs].count(name) > 1)!r}")
    return found


def _parquet(path: Path) -> SourceTable:
    need("pyarrow", extra="parquet", purpose="Reading Parquet files")
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path) as file:
        refuse_repeated(file.schema_arrow.names, path.name)
        taken = 0
        for batch in file.iter_batches(batch_size=ROWS):  # a small file may repeat one long text a million times
            taken += sum(map(_size, batch.columns))
            refuse_larger(taken, name=path.name)
    frame = pd.read_parquet(path)
    if isinstance(frame.index, pd.RangeIndex):
        return SourceTable(frame)
    names = ", ".join(repr(name) for name in frame.index.names if name is not None) or "without a name"
    return SourceTable(
        frame.reset_index(drop=True), (Flag("index-column", f"The table's index ({names}) was left out."),)
    )


def _size(column: Any) -> int:
    """Return the bytes that a column of an Arrow batch takes as a table's; a dictionary holds a repeated text once."""
    from pyarrow import types

    plain = column.dictionary_decode() if types.is_dictionary(column.type) else column
    text = types.is_string(plain.type) or types.is_large_string(plain.type)
    return int(plain.nbytes) * (TEXT if text else 1)


def _npz(path: Path) -> SourceTable:
    columns: dict[str, np.ndarray] = {}
    arrays: dict[str, tuple[str, ...]] = {}
    shape: tuple[int, ...] = ()
    for name, array in read_npz(path, name=path.name).items():
        if array.dtype.kind == "c":
            raise ValueError(f"array {name!r} holds complex numbers; give real and imaginary parts")
        native = array.astype(array.dtype.newbyteorder("="))
        if native.ndim > 2 and not shape:
            shape, native = native.shape[1:], native.reshape(len(native), -1)
        if native.ndim not in (1, 2):
            raise ValueError(f"array {name!r} has {native.ndim} dimensions; one array may have more than 2")
        wide = native.ndim == 2 and native.shape[1] != 1
        parts = {f"{name}{i}": native[:, i] for i in range(native.shape[1])} if wide else {name: native.reshape(-1)}
        refuse_repeated((*columns, *parts), path.name)
        columns |= parts
        arrays |= {name: tuple(parts)} if wide else {}
    return SourceTable(pd.DataFrame(columns), shape=shape, arrays=arrays)


def _sdf(path: Path) -> SourceTable:
    need("rdkit", extra="molecules", purpose="Reading SD files")
    from rdkit import Chem
    from rdkit.rdBase import BlockLogs

    rows: list[dict[str, str | None]] = []
    with BlockLogs():
        supplier = _structures(path)
        for at in range(len(supplier)):
            fits = len(supplier.GetItemText(at).partition("M  END")[0]) <= BLOCK
            molecule = supplier[at] if fits else None
            if molecule is not None and molecule.GetNumAtoms() > MOST_ATOMS:
                molecule = None
            row: dict[str, str | None] = {}
            if molecule is not None:
                row = {name: molecule.GetProp(name) for name in molecule.GetPropNames()}
            rows.append({**row, STRUCTURE: None if molecule is None else Chem.MolToSmiles(molecule)})
    frame = pd.DataFrame(rows)
    for column in frame.columns.drop(STRUCTURE):
        frame[column] = _numbers(frame[column])
    return SourceTable(frame)


def _structures(path: Path) -> Any:
    """Return RDKit's reader of an SD file; of one in another encoding, or with line ends of its own, of its text."""
    from rdkit import Chem

    with path.open("rb") as file:
        parts = iter(partial(file.read, BLOCK), b"")
        plain = all(b"\r" not in part.replace(b"\r\n", b"") and part.isascii() for part in parts)
    if plain:
        return Chem.SDMolSupplier(str(path))
    refuse_larger(READ * path.stat().st_size, name=path.name)
    text, _ = decoded_text(path.read_bytes())
    supplier = Chem.SDMolSupplier()
    supplier.SetData(text.replace("\r\n", "\n").replace("\r", "\n"))
    return supplier


def _numbers(texts: "pd.Series[str]") -> "pd.Series[float] | pd.Series[str]":
    """Return a property's values as numbers if every one is a number, else as they are."""
    try:
        return pd.to_numeric(texts)
    except ValueError:
        return texts


_READERS = {
    ".csv": _csv,
    ".tsv": _csv,
    ".txt": _csv,
    ".jsonl": _json_lines,
    ".parquet": _parquet,
    ".npz": _npz,
    ".sdf": _sdf,
}
