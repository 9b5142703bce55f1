"""Molecules as packed graphs: no frozen features but what graph networks (`leaq.models.nets`) are trained on."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from leaq.embedders.base import EmbedderEntry, Encoded, MoleculeEmbedder, each_molecule
from leaq.embedders.graphs import words_of
from leaq.models.nets.layout import GRAPHS, SLOT, packed
from leaq.types import Flag, Floats, Progress, silent

DEGREES, CHIRALITIES, HYDROGENS, STEREO = 6, 4, 5, 6
CHARGES = (-1, -2, 1, 2, 0)
ELEMENTS = {number: place for place, number in enumerate((*range(1, 37), 53))}
HYBRIDS = ("S", "SP", "SP2", "SP2D", "SP3", "SP3D", "SP3D2")
BONDS = ("SINGLE", "DOUBLE", "TRIPLE", "AROMATIC")


class MolGraph(MoleculeEmbedder):
    """Atoms and directed bonds with chemprop 2's features, one padded row a molecule (`leaq.models.nets.layout`)."""

    columns: ClassVar[bool] = False
    cost: ClassVar[float] = 0.6

    vocabulary: Literal["chemprop", "words"] = "chemprop"
    """Which features: chemprop's, or words, those that pretrained graph networks read."""

    def encode(self, smiles: Sequence[str], *, progress: Progress = silent) -> Encoded:
        """Return (n, 2 + 8 slots) float32."""
        atoms: list[Floats] = []
        bonds: list[Floats] = []
        failed: dict[int, str] = {}
        nothing = np.zeros((0, SLOT))
        slots_of = words_of if self.vocabulary == "words" else lambda molecule: (_atoms(molecule), _bonds(molecule))
        for row, molecule in each_molecule(smiles, failed, progress=progress):
            found = (nothing, nothing) if molecule is None else slots_of(molecule)
            if isinstance(found, str):
                failed[row], found = found, (nothing, nothing)
            atoms.append(found[0])
            bonds.append(_sorted(found[1]))
        return Encoded(packed(atoms, bonds), failed)

    def describe(self) -> str:
        return "packed molecular graphs"

    def flags(self) -> tuple[Flag, ...]:
        """Return what keeps such rows from being taken for columns."""
        return (GRAPHS,)


def _atoms(molecule: Any) -> Floats:
    """Return the slots of a molecule's atoms (a, 8)."""
    found = np.empty((molecule.GetNumAtoms(), SLOT))
    for slot, atom in zip(found, molecule.GetAtoms(), strict=True):
        charge, hybrid = atom.GetFormalCharge(), str(atom.GetHybridization())
        groups = (
            (ELEMENTS.get(atom.GetAtomicNum(), len(ELEMENTS)), len(ELEMENTS)),
            (min(atom.GetTotalDegree(), DEGREES), DEGREES),
            (CHARGES.index(charge) if charge in CHARGES else len(CHARGES), len(CHARGES)),
            (min(int(atom.GetChiralTag()), CHIRALITIES), CHIRALITIES),
            (min(int(atom.GetTotalNumHs()), HYDROGENS), HYDROGENS),
            (HYBRIDS.index(hybrid) if hybrid in HYBRIDS else len(HYBRIDS), len(HYBRIDS)),
        )
        first = 0
        for place, (value, known) in enumerate(groups):
            slot[place] = first + value
            first += known + 1
        slot[6] = first if atom.GetIsAromatic() else -1
        slot[7] = 0.01 * atom.GetMass()
    return found


def _bonds(molecule: Any) -> Floats:
    """Return the slots of a molecule's directed bonds (e, 8), the two directions of a bond side by side."""
    found = np.zeros((2 * molecule.GetNumBonds(), SLOT))
    for row, bond in zip(found.reshape(-1, 2, SLOT), molecule.GetBonds(), strict=True):
        kind, stereo = str(bond.GetBondType()), int(bond.GetStereo())
        ends = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        row[:, 0], row[:, 1] = ends, ends[::-1]
        row[:, 3] = 1 + BONDS.index(kind) if kind in BONDS else -1
        row[:, 4] = 5 if bond.GetIsConjugated() else -1
        row[:, 5] = 6 if bond.IsInRing() else -1
        row[:, 6] = 7 + min(stereo, STEREO)
    return found


def _sorted(bonds: Floats) -> Floats:
    """Return directed bonds, two by two as they come, sorted by the atom they point to, each with its reverse."""
    found = bonds.copy()
    order = np.lexsort((found[:, 0], found[:, 1]))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    found[:, 2] = place.reshape(-1, 2)[:, ::-1].ravel()  # the two directions of a bond stand side by side
    return found[order]


_WHAT = "atoms and bonds, for graph networks"
ENTRIES = (EmbedderEntry("molgraph", MolGraph, None, "smiles", "packed graph", _WHAT, "RDKit", "BSD-3-Clause"),)
