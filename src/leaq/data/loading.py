"""One door to every source of records: a catalogued name or a file."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from leaq.data import shipped, synthetic
from leaq.data.molecules import from_smiles
from leaq.data.readers import read_frame
from leaq.data.tables import from_frame
from leaq.errors import InvalidInput, closest, unknown_name
from leaq.types import Flag, Samples

__all__ = ["listing", "load"]


def listing() -> tuple[shipped.Entry, ...]:
    """Return every data set known by name, with its task, size, licence and where it comes from."""
    return tuple(shipped.ENTRIES.values())


def load(
    source: str | Path,
    *,
    target: str | None = None,
    smiles: str | None = None,
    task: Literal["auto", "classification", "regression"] = "auto",
    ignore: tuple[str, ...] = (),
    skip_invalid: bool = False,
) -> Samples:
    """Return the labelled records of a catalogued data set or of a file.

    Parameters
    ----------
    source : a name from `listing`, ``mixture(modes=4, d=128, n=1000)``, or a CSV, TSV, Parquet or NPZ file.
    target : the column to predict; needed for files.
    smiles : the column of SMILES strings; the records are then molecules and other columns are not used.
    task : "auto" calls text, booleans and few distinct integers classes, everything else values.
    ignore : columns that are no features, such as identifiers.
    skip_invalid : drop rows with missing values or unreadable SMILES and count them in the flags, instead of refusing.

    Raises
    ------
    InvalidInput
        With the rows, columns or counts at fault and what to do.
    UnknownName
        If `source` is neither a known name nor an existing file.

    Examples
    --------
    >>> samples = load("breast_cancer")
    >>> samples.inputs.shape, samples.task, samples.classes
    ((569, 30), 'classification', ('malignant', 'benign'))
    """
    name = str(source)
    if synthetic.is_synthetic(name):
        return synthetic.from_spec(name)
    if name in shipped.ENTRIES:
        samples = shipped.read(name, skip_invalid=skip_invalid)
        if task not in ("auto", samples.task):
            raise InvalidInput(f"{name} is a {samples.task} task. Found task={task!r}. Leave --task out.")
        return samples
    path = Path(source)
    if not path.suffix and not path.exists():
        raise unknown_name("data set", name, shipped.ENTRIES)
    frame = read_frame(path)
    target = _column(frame.columns, target, "--target", path)
    if smiles is None:
        return from_frame(frame, target, task=task, name=path.stem, ignore=ignore, skip_invalid=skip_invalid)
    smiles = _column(frame.columns, smiles, "--smiles", path)
    samples = from_smiles(frame[smiles], frame[target], task=task, name=path.stem, skip_invalid=skip_invalid)
    unused = [str(column) for column in frame.columns if column not in (smiles, target)]
    if unused:
        text = f"Columns beside the SMILES are not used: {', '.join(unused)}."
        samples = replace(samples, flags=(*samples.flags, Flag("unused-columns", text)))
    return samples


def _column(columns: object, name: str | None, option: str, path: Path) -> str:
    known = [str(column) for column in columns]  # type: ignore[attr-defined]
    if name is None:
        raise InvalidInput(f"{path.name}: {option} must name a column. Columns: {', '.join(known)}.")
    if name not in known:
        raise InvalidInput(
            f"{path.name}: there is no column {name!r} ({option}). Columns: {', '.join(known)}.{closest(name, known)}"
        )
    return name
