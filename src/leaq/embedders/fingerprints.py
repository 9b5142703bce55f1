"""Fingerprints and descriptors of molecules, by RDKit's own generators.

RDKit itself and not scikit-fingerprints: the latter calls the same generators, needs several seconds and several
hundred megabytes more, and holds rdkit below the version used here. Its transformers work through `FromSklearn`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from leaq.embedders.base import EmbedderEntry, Encoded, MoleculeEmbedder, each_molecule
from leaq.types import Progress, silent


class Fingerprint(MoleculeEmbedder):
    """One number a hashed substructure: whether it occurs, or how often."""

    maker: ClassVar[str]
    """RDKit's generator."""
    size: int = Field(default=2048, ge=64, le=65536)
    counts: bool = False

    def name(self) -> str:
        """Say which substructures are counted."""
        raise NotImplementedError

    def encode(self, smiles: Sequence[str], *, progress: Progress = silent) -> Encoded:
        """Return (n, size) bits or counts."""
        from rdkit.Chem import rdFingerprintGenerator

        own = {name: getattr(self, name) for name in type(self).model_fields if name not in Fingerprint.model_fields}
        generator = getattr(rdFingerprintGenerator, self.maker)(fpSize=self.size, **own)
        function = generator.GetCountFingerprintAsNumPy if self.counts else generator.GetFingerprintAsNumPy
        dtype = np.uint16 if self.counts else np.uint8
        features = np.zeros((len(smiles), self.size), dtype=dtype)
        failed: dict[int, str] = {}
        for row, molecule in each_molecule(smiles, failed, progress=progress):
            if molecule is not None:
                values = function(molecule)
                features[row] = np.minimum(values, np.iinfo(dtype).max) if dtype == np.uint16 else values
        return Encoded(features, failed)

    def describe(self) -> str:
        return f"{self.name()}, {self.size} {'counts' if self.counts else 'bits'}"


class Morgan(Fingerprint):
    """Extended-connectivity fingerprint: one bit (or count) a hashed circular neighbourhood.

    Source: Rogers and Hahn, "Extended-Connectivity Fingerprints", J. Chem. Inf. Model. 50 (2010) 742; ECFP4 = radius 2.
    """

    maker: ClassVar[str] = "GetMorganGenerator"
    radius: int = Field(default=2, ge=0, le=6)

    def name(self) -> str:
        return f"Morgan fingerprint, radius {self.radius}"


class Paths(Fingerprint):
    """RDKit's own fingerprint: linear and branched subgraphs of up to 7 bonds."""

    cost: ClassVar[float] = 1.6
    maker: ClassVar[str] = "GetRDKitFPGenerator"

    def name(self) -> str:
        return "RDKit path fingerprint"


class AtomPair(Fingerprint):
    """Pairs of atoms and their topological distance.

    Source: Carhart, Smith, Venkataraghavan, "Atom pairs as molecular features in structure-activity studies",
    J. Chem. Inf. Comput. Sci. 25 (1985) 64.
    """

    maker: ClassVar[str] = "GetAtomPairGenerator"

    def name(self) -> str:
        return "atom-pair fingerprint"


class Torsion(Fingerprint):
    """Chains of four bonded atoms.

    Source: Nilakantan, Bauman, Dixon, Venkataraghavan, "Topological torsion", J. Chem. Inf. Comput. Sci. 27 (1987) 82.
    """

    maker: ClassVar[str] = "GetTopologicalTorsionGenerator"

    def name(self) -> str:
        return "topological-torsion fingerprint"


class Maccs(MoleculeEmbedder):
    """The 166 public MACCS keys: one bit a named substructure (RDKit's numbering, in which bit 0 is unused)."""

    cost: ClassVar[float] = 1.2

    def encode(self, smiles: Sequence[str], *, progress: Progress = silent) -> Encoded:
        """Return (n, 167) bits."""
        from rdkit.Chem import rdMolDescriptors

        failed: dict[int, str] = {}
        features = np.zeros((len(smiles), 167), dtype=np.uint8)
        for row, molecule in each_molecule(smiles, failed, progress=progress):
            if molecule is not None:
                features[row, list(rdMolDescriptors.GetMACCSKeysFingerprint(molecule).GetOnBits())] = 1
        return Encoded(features, failed)

    def describe(self) -> str:
        return "MACCS keys, 167 bits"


class Descriptors(MoleculeEmbedder):
    """RDKit's two-dimensional descriptors: weight, logP, polar surface, counts of groups, ...

    Ipc grows exponentially with a molecule and is taken as log10(1 + Ipc). A molecule with a descriptor that is not a
    finite number (some metals) cannot be encoded and is named.
    """

    cost: ClassVar[float] = 11.0

    def encode(self, smiles: Sequence[str], *, progress: Progress = silent) -> Encoded:
        """Return (n, d) values; d depends on the version of RDKit (217 in 2026.9)."""
        from rdkit.Chem import Descriptors as Rdkit
        from rdkit.rdBase import BlockLogs

        names = [name for name, _ in Rdkit.descList]
        calculate: Any = Rdkit.CalcMolDescriptors
        failed: dict[int, str] = {}
        features = np.zeros((len(smiles), len(names)), dtype=np.float32)
        with BlockLogs(), np.errstate(all="ignore"):
            for row, molecule in each_molecule(smiles, failed, progress=progress):
                if molecule is not None:
                    values = calculate(molecule, missingVal=np.nan)
                    values["Ipc"] = np.log10(1 + values["Ipc"])
                    features[row] = [values[name] for name in names]
                    bad = np.flatnonzero(~np.isfinite(features[row]))
                    if len(bad):
                        failed[row] = f"the descriptor {names[bad[0]]} is not a finite number"
        return Encoded(features, failed)

    def describe(self) -> str:
        return "RDKit 2D descriptors"


_NAMES: tuple[tuple[str, Callable[..., MoleculeEmbedder], int | None, str], ...] = (
    ("ecfp4", partial(Morgan, radius=2), 2048, "circular neighbourhoods, radius 2"),
    ("ecfp6", partial(Morgan, radius=3), 2048, "circular neighbourhoods, radius 3"),
    ("ecfp4_count", partial(Morgan, radius=2, counts=True), 2048, "the same, counted"),
    ("ecfp6_count", partial(Morgan, radius=3, counts=True), 2048, "the same, counted"),
    ("morgan", Morgan, 2048, "circular neighbourhoods of any radius"),
    ("maccs", Maccs, 167, "named substructures"),
    ("rdkit", Paths, 2048, "paths and branches of up to 7 bonds"),
    ("atompair", AtomPair, 2048, "pairs of atoms and their distance"),
    ("torsion", Torsion, 2048, "chains of four atoms"),
    ("descriptors", Descriptors, None, "two-dimensional descriptors"),
)
ENTRIES = tuple(
    EmbedderEntry(name, make, size, "smiles", "fingerprint" if size else "descriptors", what, "RDKit", "BSD-3-Clause")
    for name, make, size, what in _NAMES
)
