"""How a molecule's graph lies in one row of numbers: what the embedder ``molgraph`` writes and graph networks read.

A row is ``[atoms, bonds, slot, slot, ...]``: two counts, then the atoms, then the directed bonds (two a bond of the
molecule, sorted by the atom they point to), then zeros up to the width of the largest molecule. A slot is `SLOT`
numbers:

- atom: seven positions of ones in its `ATOM` features (-1: none), and its last feature, the mass over 100;
- bond: the atom it comes from, the atom it points to, the position of its reverse among the molecule's bonds, four
  positions of ones in its `BOND` features (-1: none), 0.

Which features there are is a `Vocabulary`. `CHEMPROP` are those of chemprop 2 (``MultiHotAtomFeaturizer.v2`` and
``MultiHotBondFeaturizer``), in its order: element (H to Kr, I, other), degree, formal charge, chirality, hydrogens,
hybridisation, aromatic, mass; no bond (never set), type, conjugated, in a ring, stereo. Source: Heid et al., "Chemprop:
A Machine Learning Package for Chemical Property Prediction", J. Chem. Inf. Model. 64 (2024) 9. `WORDS` are those of
pretrained graph networks: element and chirality; type (single, double, triple, aromatic; of a loop; masked) and
direction. Source: Hu et al., "Strategies for Pre-training Graph Neural Networks" (arXiv 1905.12265v3), appendix C. All
numbers are exact in float32.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leaq.types import Flag, Floats

SLOT = 8
"""Numbers a slot holds."""
COUNTS = 2
"""Numbers before the first slot."""


@dataclass(frozen=True)
class Vocabulary:
    """How many features an atom and a bond have, and whether the last one of an atom is its mass or always 0."""

    atom: int
    bond: int
    mass: bool


ATOM = 72
"""Features of an atom, as chemprop has them."""
BOND = 14
"""Features of a bond, as chemprop has them."""
CHEMPROP = Vocabulary(ATOM, BOND, mass=True)
ELEMENTS, TYPES = 120, 6
"""Elements and types of bonds in `WORDS`; chirality and direction follow them. An atom's last feature is 0."""
LOOP = 4
"""The type of the bond from an atom to itself, which is not written down."""
WORDS = Vocabulary(ELEMENTS + 4, TYPES + 3, mass=False)
GRAPHS = Flag(
    "packed-graphs", "Inputs are packed molecular graphs: codes that graph networks read, no columns of features."
)


def packed(atoms: Sequence[Floats], bonds: Sequence[Floats]) -> Floats:
    """Return molecules as rows (n, 2 + 8 slots), float32.

    Parameters
    ----------
    atoms, bonds : by molecule, its slots (a, 8) and (e, 8).

    Examples
    --------
    >>> packed([np.ones((2, 8)), np.ones((1, 8))], [np.ones((2, 8)), np.empty((0, 8))]).shape
    (2, 34)
    """
    most = max((len(a) + len(e) for a, e in zip(atoms, bonds, strict=True)), default=0)
    rows = np.zeros((len(atoms), COUNTS + SLOT * most), dtype=np.float32)
    for row, a, e in zip(rows, atoms, bonds, strict=True):
        row[:COUNTS] = len(a), len(e)
        row[COUNTS : COUNTS + a.size] = a.ravel()
        row[COUNTS + a.size : COUNTS + a.size + e.size] = e.ravel()
    return rows
