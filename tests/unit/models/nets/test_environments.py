"""What is alike is computed once, and every bond and atom gets what a loop over all of them gives."""

import pytest
import torch

from leaq.embedders import EMBEDDERS
from leaq.models.nets.environments import MoleculeBatches, environments
from leaq.models.nets.graphs import collate, sums_of
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
    weights = torch.randn(len(one.sizes), 5, dtype=torch.float64)
    expected = one.summed(loop(layers, one, depth))
    alike = environments(one, depth, shared=True)
    found = alike.summed(layers(alike))
    torch.testing.assert_close(found, expected)
    slopes = [
        torch.autograd.grad((each * weights).sum(), list(layers.parameters()), allow_unused=True)
        for each in (found, expected)
    ]
    torch.testing.assert_close(*slopes)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_batches_of_all_models_are_those_of_each(depth):
    require("rdkit")
    rows = torch.tensor(EMBEDDERS.build("molgraph").encode([*SMILES, *MORE, "C", "N"]).features, dtype=torch.float64)
    torch.manual_seed(0)
    each = [DirectedMessages(5, depth).double() for _ in range(3)]
    params = {
        name: torch.stack([dict(one.named_parameters())[name] for one in each]).detach().requires_grad_()
        for name, _ in each[0].named_parameters()
    }
    positions = torch.tensor([[0, 1, 2, 3, 4, 5], [9, 9, 15, 8, 0, 14], [len(rows) - 1, len(rows) - 2] * 3])
    batch = MoleculeBatches(collate(rows.unsqueeze(0)).of(0), depth)(positions)
    vectors = torch.func.functional_call(each[0], params, (batch,))
    found, weights = batch.summed(vectors), torch.randn(3, 6, 5, dtype=torch.float64)
    found_slopes = torch.autograd.grad((found * weights).sum(), list(params.values()), allow_unused=True)
    for model, one in enumerate(each):
        graphs = collate(rows[positions[model]].unsqueeze(0)).of(0)
        alike = environments(graphs, depth, shared=True)
        expected = alike.summed(one(alike))
        torch.testing.assert_close(found[model], expected)
        assert torch.equal(batch.sizes[model], graphs.sizes)
        slopes = torch.autograd.grad((expected * weights[model]).sum(), list(one.parameters()), allow_unused=True)
        for all_models, own in zip(found_slopes, slopes, strict=True):
            torch.testing.assert_close(
                torch.zeros(()) if all_models is None else all_models[model],
                torch.zeros(()) if own is None else own,
                check_dtype=False,
            )
    assert batch.atoms.shape[1] < batch.sizes.sum(1).max()  # what is alike is there once


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
    everyone = alike.molecules.rows
    atoms = {place: everyone[slice(*one.atom_starts[place : place + 2])].tolist() for place in range(8)}
    assert not set(atoms[0]) & set(atoms[4])
    octane = atoms[1]
    assert octane == octane[::-1]
    assert len(set(octane)) == 4
    assert len(set(atoms[6])) == 2


def test_who_watches_a_layer_sees_every_bond_and_atom(graphs):
    one, layers, seen = graphs.of(0), DirectedMessages(4, 2), []
    alike = layers.read(one)
    found = alike.summed(layers(alike))
    hook = layers.W_h.register_forward_pre_hook(lambda _layer, args: seen.append(len(args[0])))
    everything = layers.read(one, alike)
    torch.testing.assert_close(everything.summed(layers(everything)), found)
    hook.remove()
    assert seen == [len(one.source)]


def test_each_model_has_a_layer_of_its_own():
    layer = torch.nn.Linear(3, 2)
    assert torch.equal(affine(layer, torch.ones(4, 3)), layer(torch.ones(4, 3)))
