"""Files into data frames; nothing is dropped or filled here."""

from pathlib import Path

import numpy as np
import pandas as pd

from leaq.data.sources import refuse_missing
from leaq.errors import InvalidInput, LeaqError, need
from leaq.npz import read_npz, refuse_larger

__all__ = ["FORMATS", "STRUCTURE", "read_frame"]

FORMATS = (".csv", ".tsv", ".parquet", ".npz", ".sdf")
STRUCTURE = "smiles"
"""The column that holds the structures of an SD file."""
ROWS = 4096
"""Rows of a Parquet file whose size is looked at together."""


def read_frame(path: Path) -> pd.DataFrame:
    """Return the table in a file.

    CSV and TSV need a header row. NPZ needs arrays of equal length; a two-dimensional array ``X`` becomes columns
    X0, X1, ... Pickled arrays are refused. An SD file becomes a column ``smiles`` and one column a property;
    structures RDKit cannot read are missing SMILES.
    """
    refuse_missing(path)
    if path.is_dir():
        raise InvalidInput(f"{str(path)!r} is a folder. Name a file of type {', '.join(FORMATS)}.")
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise InvalidInput(f"{path.name}: file type must be one of {', '.join(FORMATS)}. Found {suffix or 'none'!r}.")
    if path.stat().st_size == 0:
        raise InvalidInput(f"{path.name}: the file is empty (0 bytes).")
    try:
        frame = _READERS[suffix](path)
    except LeaqError:
        raise
    except Exception as err:  # each format's library has a dozen of its own
        reason = str(err).strip().splitlines()[0] if str(err).strip() else type(err).__name__
        raise InvalidInput(f"{path.name}: cannot be read as {suffix[1:].upper()} ({reason}).") from None
    frame.columns = frame.columns.map(str)
    if frame.empty:
        raise InvalidInput(f"{path.name}: the table has a header but no rows.")
    repeated = frame.columns[frame.columns.duplicated()].unique()
    if len(repeated):
        raise InvalidInput(f"{path.name}: column names must differ. Found twice: {', '.join(repeated)}.")
    return frame


def _csv(path: Path) -> pd.DataFrame:
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    head = path.read_bytes()[:4096]
    if b"\0" in head:
        raise ValueError("it holds binary data")
    return pd.read_csv(path, sep=separator, skipinitialspace=True)


def _parquet(path: Path) -> pd.DataFrame:
    need("pyarrow", extra="parquet", purpose="Reading Parquet files")
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path) as file:
        taken = 0
        for batch in file.iter_batches(batch_size=ROWS):  # a small file may repeat one long text a million times
            taken += batch.nbytes
            refuse_larger(taken, name=path.name)
    return pd.read_parquet(path)


def _npz(path: Path) -> pd.DataFrame:
    columns: dict[str, np.ndarray] = {}
    for name, array in read_npz(path, name=path.name).items():
        if array.ndim == 2:
            columns |= {f"{name}{i}": array[:, i] for i in range(array.shape[1])}
        elif array.ndim == 1:
            columns[name] = array
        else:
            raise ValueError(f"array {name!r} has {array.ndim} dimensions; 1 or 2 are read")
    return pd.DataFrame(columns)


def _sdf(path: Path) -> pd.DataFrame:
    need("rdkit", extra="molecules", purpose="Reading SD files")
    from rdkit import Chem
    from rdkit.rdBase import BlockLogs

    rows: list[dict[str, str | None]] = []
    with BlockLogs():
        for molecule in Chem.SDMolSupplier(str(path)):
            row: dict[str, str | None] = {}
            if molecule is not None:
                row = {name: molecule.GetProp(name) for name in molecule.GetPropNames()}
            rows.append({**row, STRUCTURE: None if molecule is None else Chem.MolToSmiles(molecule)})
    frame = pd.DataFrame(rows)
    for column in frame.columns.drop(STRUCTURE):
        frame[column] = _numbers(frame[column])
    return frame


def _numbers(texts: "pd.Series[str]") -> "pd.Series[float] | pd.Series[str]":
    """Return a property's values as numbers if every one is a number, else as they are."""
    try:
        return pd.to_numeric(texts)
    except ValueError:
        return texts


_READERS = {".csv": _csv, ".tsv": _csv, ".parquet": _parquet, ".npz": _npz, ".sdf": _sdf}
