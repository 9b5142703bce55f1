"""Packed rows become graphs, and sums over them are what a loop over molecules, atoms and bonds gives."""

import numpy as np
import pytest
import torch

from leaq.embedders import EMBEDDERS
from leaq.errors import InvalidInput
from leaq.models.nets.graphs import adjacent, collate, flip, pool, scrambled, sources, spread
from leaq.models.nets.layout import ATOM, BOND, COUNTS, SLOT
from tests.helpers import require

SMILES = ["CCO", "C", "c1ccccc1Cl", "CC(=O)[O-].[Na+]", "F/C=C/F", "C[C@H](N)C(=O)O", "O=S(=O)(C)C", "C1CC1"]


@pytest.fixture
def rows():
    require("rdkit")
    return torch.tensor(EMBEDDERS.build("molgraph").encode(SMILES).features)


def by_hand(row):
    """A molecule's atoms, bonds and ends, read slot by slot."""
    a, e = int(row[0]), int(row[1])
    slots = row[COUNTS:].reshape(-1, SLOT)
    atoms, bonds = np.zeros((a, ATOM)), np.zeros((e, BOND))
    for i in range(a):
        for position in slots[i, :7].tolist():
            if position >= 0:
                atoms[i, int(position)] = 1
        atoms[i, ATOM - 1] = slots[i, 7]
    for i in range(e):
        for position in slots[a + i, 3:7].tolist():
            if position >= 0:
                bonds[i, int(position)] = 1
    ends = slots[a : a + e, :3].to(torch.int64).tolist()
    return atoms, bonds, ends


def test_graphs_are_the_molecules_one_by_one(rows):
    batches = torch.stack([rows[:4], rows[4:]])
    graphs = collate(batches)
    for model in range(2):
        a = e = 0
        for place, row in enumerate(batches[model]):
            atoms, bonds, ends = by_hand(row)
            assert np.array_equal(graphs.atoms[model, a : a + len(atoms)].numpy(), atoms.astype(np.float32))
            assert np.array_equal(graphs.bonds[model, e : e + len(bonds)].numpy(), bonds)
            for i, (source, target, reverse) in enumerate(ends):
                assert graphs.source[model, e + i] == a + source
                assert graphs.target[model, e + i] == a + target
                assert graphs.reverse[model, e + i] == e + reverse
            assert (graphs.molecule[model, a : a + len(atoms)] == place).all()
            assert graphs.atom_starts[model, place] == a
            a, e = a + len(atoms), e + len(bonds)
        assert (graphs.molecule[model, a:] == len(batches[model])).all()
        assert (graphs.atoms[model, a:] == 0).all()
        assert (graphs.bonds[model, e:] == 0).all()
        back = graphs.reverse[model]
        assert torch.equal(back[back], torch.arange(len(back)))
        assert torch.equal(graphs.source[model], graphs.target[model][back])


def test_sums_and_their_gradients_are_those_of_a_loop(rows):
    graphs = collate(rows.unsqueeze(0)).of(0)
    target, reverse, starts = graphs[3], graphs[4], graphs[5]
    edges, wholes = len(target), len(starts)
    values = torch.randn(edges, 3, dtype=torch.float64, requires_grad=True)
    expected = torch.stack([values[target == v].sum(0) for v in range(wholes)])
    torch.testing.assert_close(pool(values, target, starts), expected)
    torch.testing.assert_close(spread(expected, target, starts), expected[target])
    torch.testing.assert_close(flip(values, reverse), values[reverse])
    # the composition of all three, and what it passes back
    weights = torch.randn(edges, 3, dtype=torch.float64)
    ours = flip(spread(pool(values, target, starts), target, starts) - values, reverse)
    loop = (expected[target] - values)[reverse]
    for found in zip(*(torch.autograd.grad((one * weights).sum(), values) for one in (ours, loop)), strict=True):
        torch.testing.assert_close(*found)


def test_atoms_get_their_neighbours(rows):
    graphs = collate(rows.unsqueeze(0)).of(0)
    source, target = graphs.source.tolist(), graphs.target.tolist()
    real = [e for e in range(len(source)) if graphs.reverse[e] != e]
    atoms = torch.randn(len(graphs.atoms), 3, dtype=torch.float64, requires_grad=True)
    slow = torch.stack([atoms[[source[e] for e in real if target[e] == v]].sum(0) for v in range(len(atoms))])
    keep = slice(-1)  # what is filled up with is nobody's
    torch.testing.assert_close(adjacent(atoms, graphs)[keep], slow[keep])
    weights = torch.zeros_like(slow)
    weights[keep] = torch.randn_like(slow)[keep]
    ours, loop = (torch.autograd.grad((one * weights).sum(), atoms) for one in (adjacent(atoms, graphs), slow))
    torch.testing.assert_close(ours, loop)


def test_kinds_are_equal_where_features_are(rows):
    graphs = collate(rows.unsqueeze(0)).of(0)
    for features, kind in ((graphs.atoms, graphs.atom_kind), (graphs.bonds, graphs.bond_kind)):
        real = features.any(1)  # what is filled up with is nobody's
        same = (features.unsqueeze(0) == features.unsqueeze(1)).all(-1)
        assert torch.equal((kind.unsqueeze(0) == kind.unsqueeze(1))[real][:, real], same[real][:, real])


def test_scrambled_numbers_are_those_of_the_published_function():
    # splitmix64 of 1, 2 and -1, less its own step; from arithmetic without a bound on whole numbers
    def slow(number):
        number %= 2**64
        number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        number = (number ^ number >> 27) * 0x94D049BB133111EB % 2**64
        return number ^ number >> 31

    numbers = [1, 2, -1, 2**62, -(2**63), 12345678901234567]
    found = scrambled(torch.tensor(numbers)).tolist()
    assert [one % 2**64 for one in found] == [slow(one) for one in numbers]


def test_a_model_axis_in_front_changes_nothing(rows):
    graphs = collate(torch.stack([rows[:4], rows[4:]]))
    each = [graphs.of(i) for i in range(2)]
    bonds, atoms = torch.randn(2, graphs.target.shape[1], 3), torch.randn(2, graphs.atoms.shape[1], 3)
    found = {
        "adjacent": (adjacent(atoms, graphs), [adjacent(a, g) for a, g in zip(atoms, each, strict=True)]),
        "sources": (sources(atoms, graphs), [sources(a, g) for a, g in zip(atoms, each, strict=True)]),
        "pool": (
            pool(bonds, graphs.target, graphs.bond_starts),
            [pool(b, g.target, g.bond_starts) for b, g in zip(bonds, each, strict=True)],
        ),
    }
    for together, alone in found.values():
        torch.testing.assert_close(together, torch.stack(alone))


def test_a_model_axis_changes_nothing(rows):
    graphs = collate(torch.stack([rows[:4], rows[4:]]))
    tables = (graphs.target, graphs.bond_starts)
    values = torch.randn(2, graphs.target.shape[1], 3)
    each = [pool(v, *(table[i] for table in tables)) for i, v in enumerate(values)]
    torch.testing.assert_close(torch.vmap(pool)(values, *tables), torch.stack(each))
    shared = torch.vmap(pool, in_dims=(0, None, None))(values, *(table[0] for table in tables))
    torch.testing.assert_close(shared[0], each[0])
    wide = torch.vmap(spread, in_dims=(None, 0, 0))(each[0], *tables)
    torch.testing.assert_close(wide[1], spread(each[0], *(table[1] for table in tables)))
    torch.testing.assert_close(torch.vmap(flip)(values, graphs.reverse)[1], values[1][graphs.reverse[1]])


@pytest.mark.parametrize("change", ["scaled", "narrow", "empty"])
def test_rows_that_are_no_graphs_are_refused(rows, change):
    broken = {"scaled": rows / 2 - 1, "narrow": rows[:, :-1], "empty": rows * 0}[change]
    with pytest.raises(InvalidInput, match="reads packed molecular graphs. Found rows that are none. Embed the mol"):
        collate(broken.unsqueeze(0))
