"""Molecules as graphs of numbers, in the vocabulary of the pretrained graph networks.

Source: Hu et al., "Strategies for Pre-training Graph Neural Networks" (arXiv 1905.12265v3), appendix C: atoms by
number and chirality, bonds by type and direction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from leaq.types import Ints

__all__ = ["JoinedGraph", "batches", "graph_of"]

SELF_LOOP = (4, 0)
"""Bond type and direction of the loop every atom gets."""
ATOMS = 20_000
"""Atoms a forward pass takes at once."""


@dataclass(frozen=True)
class JoinedGraph:
    """Several molecules as one graph without edges between them.

    Attributes
    ----------
    atoms : (a, 2) element - 1, chirality.
    edges : (2, e) from, to; both directions of every bond, then one loop an atom.
    bonds : (e, 2) type, direction.
    molecule : (a,) which molecule each atom belongs to, 0..count - 1.
    count : number of molecules.
    """

    atoms: Ints
    edges: Ints
    bonds: Ints
    molecule: Ints
    count: int


Graph = tuple[Ints, Ints, Ints]
"""Atoms (a, 2), edges (2, e), bonds (e, 2) of one molecule, without loops."""


def graph_of(molecule: Any) -> Graph | str:
    """Return a molecule's graph, or the reason why the vocabulary has no words for it."""
    from rdkit import Chem

    chirality = {
        Chem.ChiralType.CHI_UNSPECIFIED: 0,
        Chem.ChiralType.CHI_TETRAHEDRAL_CW: 1,
        Chem.ChiralType.CHI_TETRAHEDRAL_CCW: 2,
    }
    types = {Chem.BondType.SINGLE: 0, Chem.BondType.DOUBLE: 1, Chem.BondType.TRIPLE: 2, Chem.BondType.AROMATIC: 3}
    directions = {Chem.BondDir.NONE: 0, Chem.BondDir.ENDUPRIGHT: 1, Chem.BondDir.ENDDOWNRIGHT: 2}
    atoms, edges, bonds = [], [], []
    for atom in molecule.GetAtoms():
        if atom.GetAtomicNum() == 0:
            return "it has a dummy atom"
        if atom.GetChiralTag() not in chirality:
            return f"it has an atom of chirality {atom.GetChiralTag()}"
        atoms.append((atom.GetAtomicNum() - 1, chirality[atom.GetChiralTag()]))
    for bond in molecule.GetBonds():
        if bond.GetBondType() not in types or bond.GetBondDir() not in directions:
            return f"it has a bond of type {bond.GetBondType()}, direction {bond.GetBondDir()}"
        word = (types[bond.GetBondType()], directions[bond.GetBondDir()])
        a, b = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        edges += [(a, b), (b, a)]
        bonds += [word, word]
    return (
        np.array(atoms, dtype=np.int64).reshape(-1, 2),
        np.array(edges, dtype=np.int64).reshape(-1, 2).T,  # (2, 0) for a molecule without a bond
        np.array(bonds, dtype=np.int64).reshape(-1, 2),
    )


def batches(graphs: Sequence[Graph]) -> list[JoinedGraph]:
    """Join graphs into batches of about `ATOMS` atoms, in order."""
    found: list[JoinedGraph] = []
    start, size = 0, 0
    for stop, (atoms, _, _) in enumerate(graphs, start=1):
        size += len(atoms)
        if size >= ATOMS or stop == len(graphs):
            found.append(_joined(graphs[start:stop]))
            start, size = stop, 0
    return found


def _joined(graphs: Sequence[Graph]) -> JoinedGraph:
    sizes = np.array([len(atoms) for atoms, _, _ in graphs])
    offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    total = int(sizes.sum())
    loops = np.arange(total, dtype=np.int64)
    edges = [edges + offset for (_, edges, _), offset in zip(graphs, offsets, strict=True)]
    bonds = [bonds for _, _, bonds in graphs]
    return JoinedGraph(
        atoms=np.concatenate([atoms for atoms, _, _ in graphs]),
        edges=np.concatenate([*edges, np.stack([loops, loops])], axis=1),
        bonds=np.concatenate([*bonds, np.tile(np.array(SELF_LOOP, dtype=np.int64), (total, 1))]),
        molecule=np.repeat(np.arange(len(graphs), dtype=np.int64), sizes),
        count=len(graphs),
    )
