"""Molecules into Samples: canonical SMILES, duplicates merged before anything is split.

The same molecule written in two ways would land on both sides of a split and be taken for a leak, so records are
merged by canonical SMILES: targets are averaged (regression); records that disagree on the class are dropped and
counted (classification).
"""

from typing import Any, Literal

import numpy as np
import pandas as pd

from leaq.data.tables import FEWEST_RECORDS, check_groups, targets_of
from leaq.errors import InvalidInput, NotEnoughEvidence, first_rows, need
from leaq.types import Flag, Samples

__all__ = ["canonical_smiles", "from_smiles"]


def canonical_smiles(smiles: list[str]) -> list[str | None]:
    """Return RDKit's canonical form of each SMILES, None where it does not parse or has no atoms.

    Examples
    --------
    >>> canonical_smiles(["OCC", "C1=CC=CC=C1", "no molecule", ""])
    ['CCO', 'c1ccccc1', None, None]
    """
    need("rdkit", extra="molecules", purpose="Reading molecules")
    from rdkit import Chem
    from rdkit.rdBase import BlockLogs

    found: list[str | None] = []
    with BlockLogs():  # our own message names the rows
        for text in smiles:
            molecule = Chem.MolFromSmiles(text)
            usable = molecule is not None and molecule.GetNumAtoms() > 0
            found.append(Chem.MolToSmiles(molecule) if usable else None)
    return found


def from_smiles(
    smiles: "pd.Series[Any]",
    targets: "pd.Series[Any]",
    *,
    task: Literal["auto", "classification", "regression"] = "auto",
    name: str = "molecules",
    unit: str = "",
    skip_invalid: bool = False,
) -> Samples:
    """Turn a column of SMILES and one of targets into Samples whose inputs are canonical SMILES.

    Raises
    ------
    InvalidInput
        Naming the rows whose SMILES does not parse, unless `skip_invalid` drops and counts them.
    """
    frame = pd.DataFrame({"smiles": smiles.to_numpy(), "target": targets.to_numpy()})
    texts = ["" if pd.isna(text) else str(text) for text in frame["smiles"]]
    frame["smiles"] = canonical_smiles(texts)
    flags: list[Flag] = []
    for column, what in (("smiles", "SMILES that cannot be read"), ("target", "a missing or infinite target")):
        frame = _without(frame, _unusable(frame[column]), f"{name}: {what}", flags, skip_invalid=skip_invalid)
    if len(frame) == 0:
        raise InvalidInput(f"{name}: no molecule is left. Check that --smiles names the right column.")
    values, classes, kind = targets_of(frame["target"].rename(str(targets.name)), task, name)
    frame = frame.assign(target=values, row=frame.index + 1)
    merged = frame.groupby("smiles", sort=False).agg(
        target=("target", "mean"), distinct=("target", "nunique"), row=("row", "first")
    )
    repeats, conflicts = len(frame) - len(merged), int((merged["distinct"] > 1).sum())
    if repeats > len(frame) / 2:
        raise InvalidInput(f"{name}: more than half of the records repeat a molecule ({repeats} of {len(frame)}).")
    if repeats:
        flags.append(Flag("merged-duplicates", f"{repeats} records repeated a molecule and were merged."))
    if conflicts and kind == "classification":
        merged = merged[merged["distinct"] == 1]
        flags.append(Flag("conflicting-labels", f"{conflicts} molecules with contradicting labels were dropped."))
    elif conflicts:
        flags.append(Flag("averaged-labels", f"{conflicts} molecules had several values; their mean is used."))
    if len(merged) < FEWEST_RECORDS:
        raise NotEnoughEvidence(f"{name}: an audit needs at least {FEWEST_RECORDS} molecules. Found {len(merged)}.")
    return check_groups(
        Samples(
            inputs=merged.index.to_numpy(dtype=str),
            targets=merged["target"].to_numpy(dtype=np.int64 if kind == "classification" else np.float64),
            task=kind,
            name=name,
            classes=classes,
            unit=unit,
            ids=merged["row"].to_numpy(dtype=np.int64),
            flags=tuple(flags),
        )
    )


def _unusable(column: "pd.Series[Any]") -> "np.ndarray[Any, np.dtype[np.bool_]]":
    missing = column.isna().to_numpy()
    if pd.api.types.is_float_dtype(column):
        missing = missing | np.isinf(column.to_numpy(dtype=float))
    return np.asarray(missing)


def _without(
    frame: pd.DataFrame, bad: "np.ndarray[Any, np.dtype[np.bool_]]", what: str, flags: list[Flag], *, skip_invalid: bool
) -> pd.DataFrame:
    """Drop and count the bad rows, or refuse them by number."""
    if not bad.any():
        return frame
    where = first_rows((frame.index[bad] + 1).tolist())
    if not skip_invalid:
        raise InvalidInput(f"{what} in {where}. Correct them, or drop those rows with --skip-invalid.")
    flags.append(Flag("dropped-rows", f"{what.split(': ', 1)[1]} in {where}: dropped."))
    return frame[~bad]
