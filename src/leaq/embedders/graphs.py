"""Molecules in the words of pretrained graph networks (`leaq.models.nets.layout.WORDS`).

Source: Hu et al., "Strategies for Pre-training Graph Neural Networks" (arXiv 1905.12265v3), appendix C: atoms by
number and chirality, bonds by type and direction.
"""

from typing import Any

import numpy as np

from leaq.models.nets.layout import ELEMENTS, SLOT, TYPES
from leaq.types import Floats

Slots = tuple[Floats, Floats]
"""Slots of a molecule's atoms (a, 8) and of its directed bonds (e, 8), in no order and without their reverse."""


def words_of(molecule: Any) -> Slots | str:
    """Return the slots of a molecule's atoms and bonds, or the reason why the vocabulary has no words for it."""
    from rdkit import Chem

    chirality = {
        Chem.ChiralType.CHI_UNSPECIFIED: 0,
        Chem.ChiralType.CHI_TETRAHEDRAL_CW: 1,
        Chem.ChiralType.CHI_TETRAHEDRAL_CCW: 2,
    }
    types = {Chem.BondType.SINGLE: 0, Chem.BondType.DOUBLE: 1, Chem.BondType.TRIPLE: 2, Chem.BondType.AROMATIC: 3}
    directions = {Chem.BondDir.NONE: 0, Chem.BondDir.ENDUPRIGHT: 1, Chem.BondDir.ENDDOWNRIGHT: 2}
    atoms = np.full((molecule.GetNumAtoms(), SLOT), -1.0)
    atoms[:, -1] = 0
    for slot, atom in zip(atoms, molecule.GetAtoms(), strict=True):
        if atom.GetAtomicNum() == 0:
            return "it has a dummy atom"
        if atom.GetChiralTag() not in chirality:
            return f"it has an atom of chirality {atom.GetChiralTag()}"
        slot[:2] = atom.GetAtomicNum() - 1, ELEMENTS + chirality[atom.GetChiralTag()]
    bonds = np.full((2 * molecule.GetNumBonds(), SLOT), -1.0)
    bonds[:, -1] = 0
    for row, bond in zip(bonds.reshape(-1, 2, SLOT), molecule.GetBonds(), strict=True):
        if bond.GetBondType() not in types or bond.GetBondDir() not in directions:
            return f"it has a bond of type {bond.GetBondType()}, direction {bond.GetBondDir()}"
        ends = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        row[:, 0], row[:, 1] = ends, ends[::-1]
        row[:, 3:5] = types[bond.GetBondType()], TYPES + directions[bond.GetBondDir()]
    return atoms, bonds
