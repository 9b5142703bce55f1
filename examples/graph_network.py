"""A graph neural network on molecules in plain torch, audited as it is. Needs the extra `molecules`.

One record is a pair of arrays, node features and a padded adjacency matrix; leaq hands them to the network as it takes
them. Members are a random half of a small set of molecules, on which the network is trained until it knows them.
"""

import numpy as np
import torch
from rdkit import Chem
from torch import nn

import leaq
from leaq.data import load

ATOMS, KINDS = 24, ("C", "N", "O", "F", "S", "Cl", "Br", "other")


def graph(smiles):
    """Node features (ATOMS, kinds + 2) and adjacency (ATOMS, ATOMS), padded with zeros."""
    molecule = Chem.MolFromSmiles(smiles)
    nodes = np.zeros((ATOMS, len(KINDS) + 2), np.float32)
    for atom in molecule.GetAtoms():
        kind = atom.GetSymbol() if atom.GetSymbol() in KINDS else "other"
        nodes[atom.GetIdx(), KINDS.index(kind)] = 1
        nodes[atom.GetIdx(), -2:] = atom.GetIsAromatic(), atom.GetTotalNumHs() / 4
    n = molecule.GetNumAtoms()
    adjacency = np.zeros((ATOMS, ATOMS), np.float32)
    adjacency[:n, :n] = Chem.GetAdjacencyMatrix(molecule)
    return nodes, adjacency


class MessagePassing(nn.Module):
    """Three rounds: each atom's state from its own and the sum of its neighbours'; the molecule is their mean."""

    def __init__(self, width=64, rounds=3):
        super().__init__()
        self.begin = nn.Linear(len(KINDS) + 2, width)
        self.own = nn.ModuleList(nn.Linear(width, width) for _ in range(rounds))
        self.others = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(rounds))
        self.end = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, nodes, adjacency):
        there = (nodes.abs().sum(-1, keepdim=True) > 0).to(nodes.dtype)  # padding stays silent
        state = torch.relu(self.begin(nodes)) * there
        for own, others in zip(self.own, self.others, strict=True):
            state = torch.relu(own(state) + adjacency @ others(state)) * there
        return self.end(state.sum(-2) / there.sum(-2)).squeeze(-1)


samples = load("freesolv")
smiles = [text for text in samples.inputs if 1 < Chem.MolFromSmiles(text).GetNumAtoms() <= ATOMS]
energy = {text: value for text, value in zip(samples.inputs, samples.targets, strict=True)}
graphs = [graph(text) for text in smiles]
# Isomers may share a graph; a record must be a member or a non-member, so each graph is taken once.
first = {nodes.tobytes() + adjacency.tobytes(): i for i, (nodes, adjacency) in reversed(list(enumerate(graphs)))}
rows = np.random.default_rng(0).permutation(sorted(first.values()))[:300]
nodes, adjacency = (torch.from_numpy(np.stack([graphs[i][part] for i in rows])) for part in (0, 1))
y = torch.tensor([(energy[smiles[i]] - samples.targets.mean()) / samples.targets.std() for i in rows]).float()
inside = torch.arange(len(rows)) < len(rows) // 2

torch.manual_seed(0)
network = MessagePassing()
optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
for _ in range(200):
    optimizer.zero_grad()
    nn.functional.mse_loss(network(nodes[inside], adjacency[inside]), y[inside]).backward()
    optimizer.step()

result = leaq.audit(
    network,
    members=((nodes[inside], adjacency[inside]), y[inside]),
    nonmembers=((nodes[~inside], adjacency[~inside]), y[~inside]),
    quantizers=["sign", "uniform(bits=4)"],
    neighbours=16,
)
print(len(rows), "molecules,", int(inside.sum()), "of them members")
for row in result.rows:
    print(row.label, "R2", row.metrics["r2"], "advantage", row.attacks["threshold"].advantage)
for flag in result.flags:
    print("-", flag.text)
