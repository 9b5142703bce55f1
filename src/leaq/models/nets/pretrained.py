"""Pretrained graph networks, frozen as embedders or fine-tuned end to end; tensors are named as upstream names them.

Plain torch and not torch_geometric: a sum over bonds and a softmax over them are a few lines each, while
torch_geometric costs 10 seconds of import and changed its message direction since these weights were trained.

Sources: Hu et al., "Strategies for Pre-training Graph Neural Networks" (arXiv 1905.12265v3); Wang et al., "Molecular
Contrastive Learning of Representations via Graph Neural Networks" (arXiv 2102.10056v2). Checked against reference
embeddings in tests/reference/test_pretrained.py.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from leaq.models.nets.graphs import Graphs, adjacent, collate, highest, pool, sources, spread
from leaq.models.nets.layout import ELEMENTS, LOOP, TYPES, WORDS
from leaq.models.nets.networks import Molecules, in_parts

Convolution = Literal["gcn", "graphsage", "gat", "molclr"]
LAYERS, WIDTH, HEADS, PROJECTED = 5, 300, 2, 512
LIMIT = 10.0
"""Standard deviations that values of a layer of a fine-tuned network may lie from their mean."""


class Edges(nn.Module):
    """Embeddings of bond type and direction, added. Every atom has a bond to itself that is not written down."""

    def __init__(self, width: int, types: int) -> None:
        super().__init__()
        self.types = types
        self.edge_embedding1 = nn.Embedding(types, width)
        self.edge_embedding2 = nn.Embedding(3, width)

    def bond(self, bonds: Tensor) -> Tensor:
        """Embed bonds (e, 9), or what is added up of them."""
        kind, direction = bonds[:, : self.types], bonds[:, TYPES:]
        return kind @ self.edge_embedding1.weight + direction @ self.edge_embedding2.weight

    def loop(self) -> Tensor:
        """Embed the bond of an atom to itself, (width,)."""
        return self.edge_embedding1.weight[LOOP] + self.edge_embedding2.weight[0]

    def inward(self, z: Tensor, graphs: Graphs, share: Tensor) -> Tensor:
        """Add up z_j + e_ij, times the share of atom j (a, 1), over each atom's neighbours and itself."""
        atoms = adjacent(z * share, graphs)
        bonds = pool(graphs.bonds * sources(share, graphs), graphs.target, graphs.bond_starts)
        return atoms + self.bond(bonds) + (z + self.loop()) * share


def degrees(graphs: Graphs) -> Tensor:
    """Return each atom's number of neighbours, itself counted, (a, 1)."""
    return 1 + pool(torch.ones_like(graphs.bonds[:, :1]), graphs.target, graphs.bond_starts)


class GcnEdges(Edges):
    """Sum over neighbours and self of (z_j + e_ij) / sqrt(deg_i deg_j), z = linear(h); degrees count the loop."""

    def __init__(self) -> None:
        super().__init__(WIDTH, TYPES)
        self.linear = nn.Linear(WIDTH, WIDTH)

    def forward(self, h: Tensor, graphs: Graphs) -> Tensor:
        """Map atoms (a, 300) to atoms (a, 300)."""
        root = degrees(graphs).rsqrt()
        return self.inward(self.linear(h), graphs, root) * root


class GraphSage(Edges):
    """Mean over neighbours and self of z_j + e_ij, then each atom's vector to unit length."""

    def __init__(self) -> None:
        super().__init__(WIDTH, TYPES)
        self.linear = nn.Linear(WIDTH, WIDTH)

    def forward(self, h: Tensor, graphs: Graphs) -> Tensor:
        """Map atoms (a, 300) to atoms (a, 300)."""
        degree = degrees(graphs)
        mean = self.inward(self.linear(h), graphs, torch.ones_like(degree)) / degree
        return nn.functional.normalize(mean, dim=1)


class Gat(Edges):
    """Attention over the edges into an atom, two heads, averaged."""

    def __init__(self) -> None:
        super().__init__(HEADS * WIDTH, TYPES)
        self.weight_linear = nn.Linear(WIDTH, HEADS * WIDTH)
        self.att = nn.Parameter(torch.empty(1, HEADS, 2 * WIDTH))
        self.bias = nn.Parameter(torch.empty(WIDTH))

    def forward(self, h: Tensor, graphs: Graphs) -> Tensor:
        """Map atoms (a, 300) to atoms (a, 300)."""
        z = self.weight_linear(h)  # (a, heads * width)
        values = sources(z, graphs) + self.bond(graphs.bonds)
        own, loop = self._score(z, 0), z + self.loop()
        # The product with the concatenation [z_i, v_j] is the sum of two products, without building it.
        score = _steep(spread(own, graphs.target, graphs.bond_starts) + self._score(values, 1))  # (e, heads)
        itself = _steep(own + self._score(loop, 1))  # (a, heads)
        top = torch.maximum(highest(score.detach(), graphs.target, graphs.bond_starts), itself.detach())
        weight, own_weight = (score - spread(top, graphs.target, graphs.bond_starts)).exp(), (itself - top).exp()
        mixed = pool(_times(values, weight), graphs.target, graphs.bond_starts) + _times(loop, own_weight)
        total = pool(weight, graphs.target, graphs.bond_starts) + own_weight
        return _times(mixed, 1 / total).view(-1, HEADS, WIDTH).mean(1) + self.bias

    def _score(self, values: Tensor, part: int) -> Tensor:
        """Return each head's product of its values with its half of the attention, (r, heads)."""
        return (values.view(-1, HEADS, WIDTH) * self.att[0, :, part * WIDTH :][:, :WIDTH]).sum(-1)


def _steep(score: Tensor) -> Tensor:
    return nn.functional.leaky_relu(score, 0.2)


def _times(values: Tensor, weight: Tensor) -> Tensor:
    """Multiply each head's values (r, heads * width) by its weight (r, heads)."""
    return (values.view(-1, HEADS, WIDTH) * weight.unsqueeze(-1)).flatten(1)


class MolClr(Edges):
    """Sum over neighbours and self of linear(h)_j + s_ij with a scalar s_ij; no degree normalisation."""

    def __init__(self) -> None:
        super().__init__(1, TYPES - 1)
        self.linear = nn.Linear(WIDTH, WIDTH, bias=False)
        self.bias = nn.Parameter(torch.empty(WIDTH))

    def forward(self, h: Tensor, graphs: Graphs) -> Tensor:
        """Map atoms (a, 300) to atoms (a, 300)."""
        return self.inward(self.linear(h), graphs, h.new_ones(len(h), 1)) + self.bias


LAYER: dict[str, Callable[[], Edges]] = {"gcn": GcnEdges, "graphsage": GraphSage, "gat": Gat, "molclr": MolClr}


class Norm(nn.Module):
    """Batch normalisation by the statistics of pre-training, in training too: a record depends on no other one."""

    limit: float | None = None
    """How many standard deviations from the mean a value may lie; those beyond are brought there."""

    def __init__(self, width: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width)), eps
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, h: Tensor) -> Tensor:
        """Normalise (a, width)."""
        mean, var = self.get_buffer("running_mean"), self.get_buffer("running_var")
        standard = (h - mean) * (var + self.eps).rsqrt()
        if self.limit is not None:
            standard = standard.clamp(-self.limit, self.limit)
        return standard * self.weight + self.bias


class GraphNetwork(nn.Module):
    """Five convolutions with batch norm, ReLU between them, mean over atoms; MolCLR projects the mean once more."""

    collate = staticmethod(partial(collate, vocabulary=WORDS))
    """Makes graphs of the batches of all models, rows of the embedder ``molgraph(vocabulary=words)``."""

    def __init__(self, convolution: Convolution) -> None:
        super().__init__()
        contrastive = convolution == "molclr"
        self.x_embedding1 = nn.Embedding(ELEMENTS - 1 if contrastive else ELEMENTS, WIDTH)
        self.x_embedding2 = nn.Embedding(3, WIDTH)
        self.gnns = nn.ModuleList(LAYER[convolution]() for _ in range(LAYERS))
        self.batch_norms = nn.ModuleList(Norm(WIDTH) for _ in range(LAYERS))
        self.width = PROJECTED if contrastive else WIDTH
        if contrastive:
            self.feat_lin = nn.Linear(WIDTH, PROJECTED)

    def prepared(self, inputs: Tensor) -> Molecules:
        """Return rows (n, w) as graphs."""
        return Molecules(inputs, self.collate)

    def forward(self, inputs: Tensor | Graphs | Molecules) -> Tensor:
        """Embed molecules, (n, 300) or (n, 512)."""
        return in_parts(self._embedded, inputs, self.collate)

    @staticmethod
    def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return upstream's tensors under the names used here, without MolCLR's other head and counters of batches.

        MolCLR multiplies by a bare matrix (in, out), which is the transpose of a linear layer's.
        """
        found = {}
        for name, tensor in tensors.items():
            if name.startswith("out_lin.") or name.endswith("num_batches_tracked"):
                continue
            bare = name.startswith("gnns.") and name.endswith(".weight") and name.count(".") == 2
            own = f"{name.removesuffix('weight')}linear.weight" if bare else name
            found[own] = tensor.T.contiguous() if bare else tensor
        return found

    def _embedded(self, graphs: Graphs) -> Tensor:
        elements, chirality = graphs.atoms[:, : len(self.x_embedding1.weight)], graphs.atoms[:, ELEMENTS : ELEMENTS + 3]
        h = elements @ self.x_embedding1.weight + chirality @ self.x_embedding2.weight  # (a, 300)
        for layer, (convolution, norm) in enumerate(zip(self.gnns, self.batch_norms, strict=True)):
            h = norm(convolution(h, graphs))
            if layer < LAYERS - 1:
                h = torch.relu(h)
        sizes = graphs.atom_starts[1:] - graphs.atom_starts[:-1]
        mean = pool(h, graphs.molecule, graphs.atom_starts)[:-1] / sizes.unsqueeze(1)
        found: Tensor = self.feat_lin(mean) if hasattr(self, "feat_lin") else mean
        return found


class Tuned(nn.Module):
    """A pretrained graph network and one linear layer behind it, as its authors fine-tune it.

    Unlike theirs, batch normalisation keeps the statistics of pre-training, and nothing is dropped out. Molecules of
    one or two atoms, which pre-training has not seen, lie up to 700 standard deviations out by them (ammonia, methane);
    one of them spoilt a fit (freesolv: R2 of -1.0). Values are therefore limited to 10, as embeddings are where frozen.
    """

    collate = GraphNetwork.collate

    def __init__(self, gnn: GraphNetwork, outputs: int) -> None:
        super().__init__()
        self.gnn = gnn
        for norm in gnn.batch_norms:
            norm.limit = LIMIT  # type: ignore[assignment]
        self.graph_pred_linear = nn.Linear(gnn.width, outputs)

    def prepared(self, inputs: Tensor) -> Molecules:
        """Return rows (n, w) as graphs."""
        return self.gnn.prepared(inputs)

    def forward(self, inputs: Tensor | Graphs | Molecules) -> Tensor:
        """Return logits or predictions (n, outputs)."""
        found: Tensor = self.graph_pred_linear(self.gnn(inputs))
        return found
