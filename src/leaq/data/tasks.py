"""Catalogued molecular tasks: from a folder the user names, from the cache, or downloaded on first use.

A folder holds ``<task>.csv`` with the columns smiles and target, or as it is published. What is read is compared with
the catalogue: a download with other content is refused, a file of the user's own is used and flagged.
"""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pandas as pd

from leaq.data.catalogue import TASKS, CataloguedTask
from leaq.data.molecules import canonical_smiles, from_smiles
from leaq.data.readers import read_frame
from leaq.data.reading import Reading
from leaq.errors import InvalidInput, unknown_name
from leaq.system.downloads import cache_folder, download
from leaq.system.files import write_atomic
from leaq.types import Flag, Progress, Samples, silent
from leaq.types.tasks import MULTITASK


def find(name: str, data_dir: Path | None = None) -> Path | None:
    """Return the file of a task in the named folder, else in LEAQ_DATA_DIR, else in the cache; None if in none."""
    named = os.environ.get("LEAQ_DATA_DIR")
    folders = [data_dir] if data_dir else [*([Path(named)] if named else []), cache_folder() / "data"]
    for folder in folders:
        if not folder.is_dir() and folder.name != "data":
            raise InvalidInput(f"The data folder {str(folder)!r} must exist. Create it, or name another one.")
    return next((folder / f"{name}.csv" for folder in folders if (folder / f"{name}.csv").is_file()), None)


def fetch(name: str, data_dir: Path | None = None, *, progress: Progress = silent) -> Path:
    """Return the file of a task, downloaded and converted into the cache if it is nowhere yet.

    Raises
    ------
    InvalidInput
        If there is no network, or the downloaded content is not what the catalogue records; the message says what
        to put where.
    """
    if name not in TASKS:
        raise unknown_name("molecular task", name, TASKS)
    found = find(name, data_dir)
    if found is not None:
        return found
    entry = TASKS[name]
    target = (data_dir or cache_folder() / "data") / f"{name}.csv"
    columns = ",".join(("smiles", *entry.targets))
    remedy = f"Put a CSV file with the columns {columns} at {str(target)!r}, or name its folder with --data-dir."
    if data_dir is not None:
        raise InvalidInput(f"{name}: there is no {target.name} in {str(data_dir)!r}. {remedy}")
    if not entry.address:
        raise InvalidInput(f"{name}: no address to download it from is recorded ({entry.note}). {remedy}")
    raw = target.parent / "raw" / hashlib.sha256(entry.address.encode()).hexdigest()[:8] / Path(entry.address).name
    download(entry.address, raw, sha256=entry.upstream_sha256, what=name, remedy=remedy, progress=progress)
    frame = convert(raw, entry)
    if entry.sha256 and content_sha256(frame) != entry.sha256:
        raw.unlink()
        raise InvalidInput(
            f"{name}: the table from {entry.address} must have content {entry.sha256}. Found {content_sha256(frame)}: "
            f"it was changed upstream, and was deleted. {remedy}"
        )
    write_atomic(target, frame.to_csv(index=False))
    return target


def convert(path: Path, entry: CataloguedTask) -> pd.DataFrame:
    """Return upstream's table as smiles,target: its own strings and order, without rows nobody could use."""
    separator = "\t" if path.suffix in (".tab", ".tsv") else ","
    try:
        frame = pd.read_csv(path, sep=separator)
    except (ValueError, UnicodeDecodeError) as err:  # pandas' parser errors are ValueErrors
        raise InvalidInput(f"{entry.name}: the file from {entry.address} cannot be read as a table ({err}).") from None
    smiles, *targets = entry.columns
    if targets[0] not in frame.columns and smiles in frame.columns and len(frame.columns) == len(entry.columns) == 2:
        frame = frame.rename(columns={frame.columns.drop(smiles)[0]: targets[0]})
    absent = [column for column in (smiles, *targets) if column not in frame.columns]
    if absent:
        raise InvalidInput(
            f"{entry.name}: the file from {entry.address} must have the columns {smiles}, {', '.join(targets)}. Found "
            f"{', '.join(map(str, frame.columns[:12]))}."
        )
    return converted(frame, entry)


def converted(frame: pd.DataFrame, entry: CataloguedTask) -> pd.DataFrame:
    """Return a table that has upstream's columns as smiles and targets, without rows nobody could use."""
    frame = frame[list(entry.columns)].set_axis(["smiles", *entry.targets], axis=1)
    frame = frame.dropna(subset=["smiles"]).dropna(subset=list(entry.targets), how="all").reset_index(drop=True)
    frame["smiles"] = frame["smiles"].astype(str).str.strip()
    readable = [text is not None for text in canonical_smiles(frame["smiles"].tolist())]
    return frame[readable].reset_index(drop=True)


def content_sha256(frame: pd.DataFrame) -> str:
    """Return the hash of a table's SMILES and targets (all other columns), in order, however numbers are written."""
    digest = hashlib.sha256()
    for smiles, *targets in frame.itertuples(index=False, name=None):
        labels = "\t".join(repr(float(target)) for target in targets)
        digest.update(f"{str(smiles).strip()}\t{labels}\n".encode())
    return digest.hexdigest()


def read_task(name: str, reading: Reading, data_dir: Path | None = None, *, progress: Progress = silent) -> Samples:
    """Return a catalogued task as Samples, with flags where its content or its scale needs a word."""
    entry = TASKS[name]
    path = fetch(name, data_dir, progress=progress)
    frame, flags = read_frame(path), []
    columns = ["smiles", *entry.targets]
    published = set(entry.columns) <= set(frame.columns) and set(frame.columns) != set(columns)
    if published:
        rows, frame = len(frame), converted(frame, entry)
        if dropped := rows - len(frame):
            why = "have no label, or SMILES that cannot be read: dropped, as of a download"
            flags.append(Flag("dropped-rows", f"{path.name} is as published; {dropped} of {rows:,} rows {why}."))
    elif not set(columns) <= set(frame.columns):
        raise InvalidInput(
            f"{path.name}: this catalogued task needs the columns {','.join(columns)}. Found "
            f"{', '.join(frame.columns)}. For a table of your own name the file itself, with --smiles and --target."
        )
    if content_sha256(frame[columns]) != entry.sha256:
        why = "differs from the catalogued content" if entry.sha256 else "has no catalogued content to compare with"
        flags.append(Flag("unverified-data", f"{path.name} {why}; it is used as it is."))
    if entry.note:
        flags.append(Flag("data-note", f"{name}: {entry.note}."))
    samples = from_smiles(
        frame["smiles"],
        frame["target"] if entry.targets == ("target",) else frame[list(entry.targets)],
        name=name,
        unit=entry.unit,
        reading=reading.but(task="auto" if entry.task == MULTITASK else entry.task),
    )
    return replace(samples, flags=(*flags, *samples.flags))
