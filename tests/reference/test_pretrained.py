"""Pretrained networks against embeddings made with an independent forward pass, and against slow twins.

The reference file was computed in float64 by other code: the aim is 1e-4 absolute in float64, and 1e-4 of the output's
standard deviation in float32.
"""

import numpy as np
import pytest
import torch

from leaq.embedders import EMBEDDERS
from leaq.models.nets import NETS, pretrained
from leaq.models.nets.layout import ELEMENTS
from tests.helpers import ROUNDING, require, shared

FILES = {
    "gcn_contextpred": "pretraingnns_gcn_contextpred",
    "graphsage_contextpred": "pretraingnns_graphsage_contextpred",
    "gat_contextpred": "pretraingnns_gat_contextpred",
    "graphsage_supervised_contextpred": "pretraingnns_graphsage_supervised_contextpred",
    "molclr_gcn": "molclr_gcn",
    "chemvae_zinc": "chemvae_zinc",
}


@pytest.fixture
def reference(monkeypatch):
    require("rdkit")
    monkeypatch.setenv("LEAQ_WEIGHTS_DIR", str(shared("embedders")))
    with np.load(shared("embedders", "reference_embeddings.npz")) as arrays:
        return dict(arrays)


def difference(name, reference, dtype):
    found = EMBEDDERS.build(f"{name}(dtype={dtype})").encode(reference["smiles"].tolist())
    assert not found.failed
    wanted = reference[FILES[name]]
    return np.abs(found.features - wanted).max(), wanted.std()


@pytest.mark.parametrize("name", FILES)
def test_float64_agrees_with_the_reference(reference, name):
    worst, _ = difference(name, reference, "float64")
    assert worst < 1e-4


@pytest.mark.parametrize("name", FILES)
def test_float32_agrees_to_a_ten_thousandth_of_the_spread(reference, name):
    worst, spread = difference(name, reference, "float32")
    assert worst < 1e-4 * spread


def test_a_forgotten_self_loop_is_caught(reference, monkeypatch):
    monkeypatch.setattr(pretrained, "LOOP", 0)
    worst, spread = difference("gcn_contextpred", reference, "float64")
    assert worst > 1e-2 * spread


def test_a_relu_too_many_is_caught(reference, monkeypatch):
    built = pretrained.GraphNetwork.__init__

    def short(self, convolution):
        with monkeypatch.context() as inner:
            inner.setattr(pretrained, "LAYERS", 5)
            built(self, convolution)

    monkeypatch.setattr(pretrained, "LAYERS", 6)  # the last layer is then no longer the fifth
    monkeypatch.setattr(pretrained.GraphNetwork, "__init__", short)
    worst, spread = difference("graphsage_contextpred", reference, "float64")
    assert worst > 1e-2 * spread


@pytest.mark.parametrize("name", [name for name in FILES if name != "chemvae_zinc"])
def test_what_is_fine_tuned_starts_as_the_frozen_embedding(reference, name):
    smiles = reference["smiles"].tolist()
    network = NETS.build(name)(outputs=2).double()
    for norm in network.gnn.batch_norms:
        norm.limit = None  # what lies far out is brought in where the network is tuned
    rows = torch.tensor(EMBEDDERS.build(NETS.build(name).embedder).encode(smiles).features).double()
    frozen = torch.tensor(EMBEDDERS.build(f"{name}(dtype=float64)").encode(smiles).features)
    last = network.graph_pred_linear
    torch.testing.assert_close(network(rows), frozen @ last.weight.T + last.bias)


def ends(graph):
    """Every bond as (from, to, type, direction), loops included."""
    bonds = zip(graph.source.tolist(), graph.target.tolist(), graph.bonds, strict=True)
    found = [(v, w, int(b[:6].argmax()), int(b[6:].argmax())) for v, w, b in bonds if b.any()]
    return [*found, *((i, i, 4, 0) for i in range(len(graph.atoms)))]


def slow_gcn(layer, h, graph):
    """One atom and one edge at a time."""
    pairs = ends(graph)
    degree = [sum(target == i for _, target, _, _ in pairs) for i in range(len(h))]
    found = torch.zeros_like(h)
    for source, target, kind, direction in pairs:
        edge = layer.edge_embedding1.weight[kind] + layer.edge_embedding2.weight[direction]
        message = layer.linear.weight @ h[source] + layer.linear.bias + edge
        found[target] += message / (degree[source] * degree[target]) ** 0.5
    return found


def slow_gat(layer, h, graph):
    """One atom and one head at a time, the concatenation written out."""
    pairs = ends(graph)
    z = (h @ layer.weight_linear.weight.T + layer.weight_linear.bias).view(-1, 2, 300)
    found = torch.zeros_like(h)
    for i in range(len(h)):
        for head in range(2):
            values, scores = [], []
            for source, target, kind, direction in pairs:
                if target == i:
                    edge = (layer.edge_embedding1.weight[kind] + layer.edge_embedding2.weight[direction]).view(2, 300)
                    values.append(z[source, head] + edge[head])
                    both = torch.cat([z[i, head], values[-1]])
                    scores.append(torch.nn.functional.leaky_relu((both * layer.att[0, head]).sum(), 0.2))
            weights = torch.softmax(torch.stack(scores), 0)
            found[i] += sum(w * v for w, v in zip(weights, values, strict=True)) / 2
    return found + layer.bias


@pytest.fixture
def graph():
    require("rdkit")
    rows = torch.tensor(EMBEDDERS.build("molgraph(vocabulary=words)").encode(["C/C=C/C(=O)O"]).features).double()
    return pretrained.GraphNetwork.collate(rows.unsqueeze(0)).of(0)


@pytest.mark.parametrize(("kind", "twin"), [("gcn", slow_gcn), ("gat", slow_gat)])
def test_a_convolution_agrees_with_its_slow_twin(graph, kind, twin):
    generator = torch.Generator().manual_seed(1)
    layer = pretrained.LAYER[kind]().double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.1)
    assert int(graph.atoms[0, :ELEMENTS].argmax()) == 5  # carbon
    h = torch.randn(len(graph.atoms), 300, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        np.testing.assert_allclose(layer(h, graph)[:-1].numpy(), twin(layer, h, graph)[:-1].numpy(), **ROUNDING)
