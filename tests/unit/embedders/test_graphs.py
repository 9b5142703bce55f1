import numpy as np
import pytest

from leaq.embedders import graphs
from leaq.embedders.graphs import batches, graph_of
from tests.helpers import require

require_rdkit = pytest.fixture(autouse=True)(lambda: require("rdkit"))


def molecule(smiles):
    from rdkit import Chem

    return Chem.MolFromSmiles(smiles)


def test_atoms_and_bonds_are_words():
    atoms, edges, bonds = graph_of(molecule("C=O"))
    assert atoms.tolist() == [[5, 0], [7, 0]]
    assert edges.tolist() == [[0, 1], [1, 0]]
    assert bonds.tolist() == [[1, 0], [1, 0]]


def test_stereo_is_seen():
    left, right = (graph_of(molecule(text))[0][1, 1] for text in ("C[C@H](N)O", "C[C@@H](N)O"))
    assert {left, right} == {1, 2}
    directions = graph_of(molecule("C/C=C/C"))[2][:, 1]
    assert set(directions.tolist()) == {0, 1}


def test_a_molecule_without_bonds_has_no_edges():
    atoms, edges, bonds = graph_of(molecule("C"))
    assert (len(atoms), edges.shape, bonds.shape) == (1, (2, 0), (0, 2))


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("*C", "it has a dummy atom"),
        ("C->[Pt]", "it has a bond of type DATIVE, direction NONE"),
        ("C[Pt@SP1](F)(Cl)Br", "it has an atom of chirality CHI_SQUAREPLANAR"),
    ],
)
def test_words_outside_the_vocabulary_are_named(smiles, reason):
    assert graph_of(molecule(smiles)) == reason


def test_batches_keep_order_and_add_loops(monkeypatch):
    monkeypatch.setattr(graphs, "ATOMS", 4)
    found = batches([graph_of(molecule(text)) for text in ("CCO", "C", "N", "CC")])
    assert [batch.count for batch in found] == [2, 2]
    first = found[0]
    assert first.molecule.tolist() == [0, 0, 0, 1]
    loops = first.edges[:, -4:]
    np.testing.assert_array_equal(loops[0], loops[1])
    assert first.bonds[-4:].tolist() == [[4, 0]] * 4
    assert batches([]) == []
