"""What is alike is computed once, and every bond and atom gets what a loop over all of them gives."""

import pytest
import torch

from leaq.embedders import EMBEDDERS
from leaq.models.nets.environments import environments
from leaq.models.nets.graphs import collate, rows_at, sums_of
from leaq.models.nets.networks import DirectedMessages, affine
from tests.helpers import require
from tests.unit.models.nets.test_graphs import SMILES

MORE = ["CCO", "CCCCCCCC", "c1ccccc1Cl", "c1ccc2ccccc2c1", "[13CH3]CO", "[2H]O[2H]", "CC(C)(C)C", "O"]


@pytest.fixture
def graphs():
    require("rdkit")
    rows = torch.tensor(EMBEDDERS.build("molgraph").encode([*SMILES, *MORE]).features)
    return collate(torch.stack([rows[:8], rows[8:]]))


def loop(layers, graphs, depth):
    """Messages bond by bond, for one model."""
    source, target, reverse = (table.tolist() for table in (graphs.source, graphs.target, graphs.reverse))
    real = [e for e in range(len(source)) if reverse[e] != e]
    start = layers.W_i(torch.cat([graphs.atoms[graphs.source], graphs.bonds], dim=1))
    state = torch.relu(start)
    for _ in range(1, depth):
        into = torch.stack(
            [
                state[[x for x in real if e in real and target[x] == source[e] and source[x] != target[e]]].sum(0)
                for e in range(len(source))
            ]
        )
        state = torch.relu(start + layers.W_h(into))
    inward = torch.stack([state[[e for e in real if target[e] == v]].sum(0) for v in range(len(graphs.atoms))])
    return torch.relu(layers.W_o(torch.cat([graphs.atoms, inward], dim=1)))


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_messages_and_their_gradients_are_those_of_a_loop(graphs, depth):
    torch.manual_seed(0)
    layers = DirectedMessages(5, depth, bias=True).double()
    graphs = graphs._replace(atoms=graphs.atoms.double(), bonds=graphs.bonds.double())
    one = graphs.of(1)
    real = slice(int(one.atom_starts[-1]))
    weights = torch.randn(int(one.atom_starts[-1]), 5, dtype=torch.float64)
    expected = loop(layers, one, depth)[real]
    found = layers(one)[real]
    torch.testing.assert_close(found, expected)
    slopes = [
        torch.autograd.grad((each * weights).sum(), list(layers.parameters()), allow_unused=True)
        for each in (found, expected)
    ]
    torch.testing.assert_close(*slopes)


def test_a_model_axis_changes_nothing(graphs):
    torch.manual_seed(0)
    each = [DirectedMessages(5, 3), DirectedMessages(5, 3)]
    stacked = DirectedMessages(5, 3)
    params = {
        name: torch.stack([dict(one.named_parameters())[name] for one in each])
        for name, _ in stacked.named_parameters()
    }
    found = torch.func.functional_call(stacked, params, (graphs,))
    for model, one in enumerate(each):
        own, real = graphs.of(model), slice(int(graphs.atom_starts[model, -1]))
        torch.testing.assert_close(found[model, real], one(own)[real])
        every = torch.vmap(torch.func.functional_call, in_dims=(None, 0, None))(stacked, params, (own,))
        torch.testing.assert_close(every[model, real], found[model, real])


def test_only_different_surroundings_are_computed(graphs):
    one = graphs.of(1)
    alike, alone = (environments(one, 3, shared=shared) for shared in (True, False))
    assert len(alone.first) == len(one.source)
    assert len(alone.atoms) == len(one.atoms)
    assert len(alike.first) < len(alone.first) / 2
    assert len(alike.atoms) < len(alone.atoms) * 0.7
    values = torch.arange(len(alike.first), dtype=torch.float64).unsqueeze(1)
    first, _ = alike.rounds[0]
    assert len(sums_of(values, first)) >= len(alike.first)
    # isotopes and neighbours two bonds away are told apart
    everyone = sums_of(torch.arange(len(alike.atoms), dtype=torch.float64).unsqueeze(1), alike.each).long().squeeze(1)
    atoms = {place: everyone[slice(*one.atom_starts[place : place + 2])].tolist() for place in range(8)}
    assert not set(atoms[0]) & set(atoms[4])
    octane = atoms[1]
    assert octane == octane[::-1]
    assert len(set(octane)) == 4
    assert len(set(atoms[6])) == 2


def test_who_watches_a_layer_sees_every_bond_and_atom(graphs):
    one, layers, seen = graphs.of(0), DirectedMessages(4, 2), []
    alike = layers(one)
    hook = layers.W_h.register_forward_pre_hook(lambda _layer, args: seen.append(len(args[0])))
    torch.testing.assert_close(layers(one), alike)
    hook.remove()
    assert seen == [len(one.source)]


def test_rows_of_bonds_are_those_of_their_model(graphs):
    alike = environments(graphs, 2, shared=True)
    for model in range(2):
        assert torch.equal(rows_at(graphs.bonds, alike.first)[model], graphs.bonds[model][alike.first[model]])
    layer = torch.nn.Linear(3, 2)
    assert torch.equal(affine(layer, torch.ones(4, 3)), layer(torch.ones(4, 3)))
