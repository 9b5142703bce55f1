import pytest

from leaq.embedders.graphs import words_of
from leaq.models.nets.layout import ELEMENTS, TYPES
from tests.helpers import require

require_rdkit = pytest.fixture(autouse=True)(lambda: require("rdkit"))


def molecule(smiles):
    from rdkit import Chem

    return Chem.MolFromSmiles(smiles)


def test_atoms_and_bonds_are_words():
    atoms, bonds = words_of(molecule("C=O"))
    assert atoms.tolist() == [[5, ELEMENTS, -1, -1, -1, -1, -1, 0], [7, ELEMENTS, -1, -1, -1, -1, -1, 0]]
    assert bonds[:, :2].tolist() == [[0, 1], [1, 0]]
    assert bonds[:, 3:].tolist() == [[1, TYPES, -1, -1, 0]] * 2


def test_stereo_is_seen():
    left, right = (words_of(molecule(text))[0][1, 1] - ELEMENTS for text in ("C[C@H](N)O", "C[C@@H](N)O"))
    assert {left, right} == {1, 2}
    directions = words_of(molecule("C/C=C/C"))[1][:, 4] - TYPES
    assert set(directions.tolist()) == {0, 1}


def test_a_molecule_without_bonds_has_none():
    atoms, bonds = words_of(molecule("C"))
    assert (len(atoms), bonds.shape) == (1, (0, 8))


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("*C", "it has a dummy atom"),
        ("C->[Pt]", "it has a bond of type DATIVE, direction NONE"),
        ("C[Pt@SP1](F)(Cl)Br", "it has an atom of chirality CHI_SQUAREPLANAR"),
    ],
)
def test_words_outside_the_vocabulary_are_named(smiles, reason):
    assert words_of(molecule(smiles)) == reason
