"""Molecules into Samples: canonical SMILES, duplicates merged before anything is split.

The same molecule written in two ways would land on both sides of a split and be taken for a leak, so records are
merged by canonical SMILES: targets are averaged (regression); records that disagree on the class are dropped and
counted (classification).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from leaq.data import chemistry
from leaq.data.chemistry import MOST_ATOMS
from leaq.data.columns import column_refusal, settle
from leaq.data.reading import Reading
from leaq.data.splits import chemistry_split, joined_groups
from leaq.data.tables import FEWEST_RECORDS, check_classes, grouped
from leaq.data.targets import holes, labelled, merged_labels, read_several, targets_of
from leaq.errors import InvalidInput, NotEnoughEvidence, counted, first_rows
from leaq.types import Bools, Flag, Ints, Samples
from leaq.types.tasks import MULTITASK


def canonical_smiles(smiles: list[str], *, strip_salts: bool = False) -> list[str | None]:
    """Return RDKit's canonical form of each SMILES, None where it does not parse or has no atoms.

    Parameters
    ----------
    strip_salts : keep the largest organic fragment only.

    Examples
    --------
    >>> canonical_smiles(["OCC", "C1=CC=CC=C1", "no molecule", ""])
    ['CCO', 'c1ccccc1', None, None]
    >>> canonical_smiles(["CC(=O)[O-].[Na+]"], strip_salts=True)
    ['CC(=O)[O-]']
    """
    return [look and look.canonical for look in chemistry.parsed_molecules(smiles, strip_salts=strip_salts)]


def from_smiles(
    smiles: "pd.Series[Any]",
    targets: "pd.Series[Any] | pd.DataFrame",
    *,
    name: str = "molecules",
    unit: str = "",
    groups: "pd.Series[Any] | None" = None,
    reading: Reading | None = None,
) -> Samples:
    """Turn a column of SMILES and one of targets into Samples whose inputs are canonical SMILES.

    Parameters
    ----------
    targets : one column, or several of which a record may lack some.
    groups : records with an equal value stay on one side of every split.
    reading : what may be dropped, salts, the scale of the target, the split; see `Reading`.

    Raises
    ------
    InvalidInput
        Naming the rows whose SMILES does not parse, unless ``skip_invalid`` drops and counts them.
    """
    reading = reading or Reading()
    if isinstance(targets, pd.DataFrame):
        return _of_several(smiles, targets, name=name, groups=groups, reading=reading)
    frame = pd.DataFrame({"smiles": smiles.to_numpy(), "target": targets.to_numpy()})
    frame["group"] = range(len(frame)) if groups is None else groups.to_numpy()
    settled = settle(frame[["target"]].rename(columns={"target": str(targets.name)}))
    frame["target"] = settled.frame.iloc[:, 0]
    flags: list[Flag] = list(settled.flags)
    odd = settled.problems[0] if settled.problems else None
    if odd is not None and odd.rows is not None and reading.skip_invalid:
        words = frame["target"].mask(odd.rows)
        frame["target"] = settle(words.to_frame()).frame.iloc[:, 0]
    elif odd is not None:
        raise column_refusal(name, [odd], targets=(odd.column,))
    frame, seen = _canonical(frame, name, flags, reading)
    values, classes, kind, unit_flags = targets_of(frame["target"].rename(str(targets.name)), name, reading)
    if reading.log_target:
        unit = f"log10 {unit}".strip()
    flags.extend(unit_flags)
    frame = frame.assign(target=values, row=frame.index + 1)
    merged, codes = _merged(frame, name, kind, flags)
    predicted: dict[str, Any] = {
        "targets": merged["target"].to_numpy(dtype=np.int64 if kind == "classification" else np.float64),
        "task": kind, "classes": classes, "unit": unit,
    }  # fmt: skip
    return _samples(merged, codes if groups is not None else None, (flags, seen), reading, name=name, **predicted)


def smiles_column(columns: Sequence[str], named: str | None = None) -> str:
    """Return which column holds SMILES: the one named, or one called smiles, or the first, as chemprop reads tables.

    Examples
    --------
    >>> smiles_column(["id", "SMILES", "y"]), smiles_column(["structure", "y"]), smiles_column(["a", "b"], "b")
    ('SMILES', 'structure', 'b')
    """
    return named or next((name for name in columns if name.lower() == "smiles"), columns[0])


def canonical_rows(
    smiles: "pd.Series[Any]", labelled: Bools, *, name: str, reading: Reading
) -> tuple[list[str], Ints, tuple[Flag, ...]]:
    """Return canonical SMILES of the rows that can be used, which rows these are, and what was dropped or doubted.

    Nothing is merged: of a finished model every row is a record.

    Parameters
    ----------
    labelled : (n,) which rows have a label at all.

    Raises
    ------
    InvalidInput
        As `from_smiles`, by row.
    """
    frame = pd.DataFrame({"smiles": smiles.to_numpy(), "target": np.where(labelled, 0.0, np.nan), "group": 0})
    flags: list[Flag] = []
    frame, _ = _canonical(frame, name, flags, reading)
    return frame["smiles"].tolist(), frame.index.to_numpy(dtype=np.int64), tuple(flags)


def _of_several(
    smiles: "pd.Series[Any]", targets: pd.DataFrame, *, name: str, groups: "pd.Series[Any] | None", reading: Reading
) -> Samples:
    """Turn molecules with several targets into Samples: a molecule has the labels of all its rows."""
    several = read_several(targets.reset_index(drop=True), name, reading)
    there = labelled(several, name, reading)
    frame = pd.DataFrame({"smiles": smiles.to_numpy(), "target": np.where(there, 0.0, np.nan)})
    frame["group"] = range(len(frame)) if groups is None else groups.to_numpy()
    flags: list[Flag] = list(several.flags)
    frame, seen = _canonical(frame, name, flags, reading)
    frame["row"] = frame.index + 1
    merged, codes = _merged(frame, name, "several", flags)
    values, doubts = merged_labels(several.values[frame.index], several.tasks, pd.factorize(frame["molecule"])[0])
    kept = ~np.isnan(values).all(1)  # contradicting labels may have been all there was
    merged, codes, values = merged.iloc[np.flatnonzero(kept)], codes[kept], values[kept]
    flags += [*doubts, *holes(values)]
    predicted: dict[str, Any] = {"targets": values, "task": MULTITASK, "tasks": several.tasks}
    return _samples(merged, codes if groups is not None else None, (flags, seen), reading, name=name, **predicted)


def _samples(
    merged: pd.DataFrame,
    codes: Ints | None,
    found: tuple[list[Flag], dict[str, chemistry.ParsedMolecule]],
    reading: Reading,
    *,
    name: str,
    **predicted: Any,
) -> Samples:
    """Put merged molecules together with their targets and groups."""
    if len(merged) < FEWEST_RECORDS:
        raise NotEnoughEvidence(f"{name}: an audit needs at least {FEWEST_RECORDS} molecules. Found {len(merged)}.")
    flags, seen = found
    samples = Samples(
        inputs=merged.index.to_numpy(dtype=str),
        name=name,
        ids=merged["row"].to_numpy(dtype=np.int64),
        flags=(*flags, *chemistry.near_duplicates([seen[text] for text in merged.index])),
        **predicted,
    )
    check_classes(samples)
    if codes is not None:
        samples = grouped(samples, codes)
    return chemistry_split(samples, reading.split)


def _canonical(
    frame: pd.DataFrame, name: str, flags: list[Flag], reading: Reading
) -> tuple[pd.DataFrame, dict[str, chemistry.ParsedMolecule]]:
    """Canonicalise the SMILES; refuse or drop what has none, no target or no group; tell salts."""
    texts = [chemistry.smiles_text(text) for text in frame["smiles"]]
    if reactions := sum(text.replace("->", "").count(">") == 2 for text in texts):
        raise InvalidInput(
            f"{name}: a record must be one molecule. Found {reactions} reactions, such as A>>B. Name a column of "
            "reactants or products, or give arrays of features of your own."
        )
    if (others := sum(text.startswith("InChI=") for text in texts)) and not reading.skip_invalid:
        raise InvalidInput(
            f"{name}: a molecule must be given as SMILES. Found {others} InChI. Turn them into SMILES with RDKit, "
            "Chem.MolToSmiles(Chem.MolFromInchi(text)), or drop those rows with --skip-invalid."
        )
    found = chemistry.parsed_molecules(texts, strip_salts=reading.strip_salts)
    frame["smiles"] = [None if look is None else look.canonical for look in found]
    frame["molecule"] = [None if look is None else look.key for look in found]
    long = f" or have more than {MOST_ATOMS:,} characters" if any(len(text) > MOST_ATOMS for text in texts) else ""
    missing = (
        ("smiles", "SMILES that cannot be read" + long),
        ("target", "a missing or infinite target"),
        ("group", "no group"),
    )
    for column, what in missing:
        bad = frame[column].isna().to_numpy()
        if pd.api.types.is_float_dtype(frame[column]):
            bad = bad | np.isinf(frame[column].to_numpy(dtype=float))
        if not bad.any():
            continue
        where = first_rows((frame.index[bad] + 1).tolist())
        if not reading.skip_invalid:
            raise InvalidInput(f"{name}: {what} in {where}. Correct them, or drop those rows with --skip-invalid.")
        flags.append(Flag("dropped-rows", f"{what[0].upper()}{what[1:]} in {where}: dropped."))
        frame = frame[~bad]
    if len(frame) == 0:
        raise InvalidInput(f"{name}: no molecule is left. Check that --smiles names the right column.")
    mixtures = sum("." in texts[row] for row in frame.index)
    if mixtures and reading.strip_salts:
        text = f"{counted(mixtures, 'molecule', 'were')} reduced to the largest organic fragment."
        flags.append(Flag("stripped-salts", text))
    elif mixtures:
        salts = counted(mixtures, "salt or mixture") if mixtures == 1 else f"{mixtures} salts or mixtures"
        text = f"{salts} used as given; --strip-salts keeps the largest part."
        flags.append(Flag("salts", text))
    return frame, {look.canonical: look for look in found if look is not None}


def _merged(frame: pd.DataFrame, name: str, kind: str, flags: list[Flag]) -> tuple[pd.DataFrame, Ints]:
    """Merge records of one molecule, however it is drawn: one row a canonical SMILES, and the code of its group."""
    merged = frame.groupby("molecule", sort=False).agg(
        smiles=("smiles", "first"), target=("target", "mean"), distinct=("target", "nunique"), row=("row", "first")
    )
    merged = merged.set_index("smiles")
    repeats, conflicts = len(frame) - len(merged), int((merged["distinct"] > 1).sum())
    if repeats > len(frame) / 2:
        raise InvalidInput(
            f"{name}: more than half of the records repeat a molecule ({repeats} of {len(frame)}). "
            "Check that --smiles names the right column, or merge the measurements of each molecule first."
        )
    # A molecule in two groups joins them: both must stay on its side.
    molecule, _ = pd.factorize(frame["molecule"])
    codes = joined_groups(molecule, pd.factorize(frame["group"])[0])[np.unique(molecule, return_index=True)[1]]
    if repeats:
        text = f"{counted(repeats, 'record')} repeated a molecule: merged."
        flags.append(Flag("merged-duplicates", text))
    if conflicts and kind == "classification":
        keep = (merged["distinct"] == 1).to_numpy()
        merged, codes = merged[keep], codes[keep]
        flags.append(Flag("conflicting-labels", f"{counted(conflicts, 'molecule')} with contradicting labels dropped."))
    elif conflicts:
        flags.append(Flag("averaged-labels", f"{counted(conflicts, 'molecule')} had several values; the mean is used."))
    return merged, codes
