"""Pretrained graph networks, forward passes only, in plain torch; tensors are named as upstream names them.

Plain torch and not torch_geometric: inference needs a sum over edges and a softmax over them, a few lines each, while
torch_geometric costs 10 seconds of import and changed its message direction since these weights were trained.

Sources: Hu et al., "Strategies for Pre-training Graph Neural Networks" (arXiv 1905.12265v3); Wang et al., "Molecular
Contrastive Learning of Representations via Graph Neural Networks" (arXiv 2102.10056v2). Checked against reference
embeddings in tests/reference/test_pretrained.py.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from leaq.embedders.graphs import JoinedGraph

__all__ = ["Convolution", "GraphNetwork"]

Convolution = Literal["gcn", "graphsage", "gat", "molclr"]
LAYERS, WIDTH, HEADS, PROJECTED = 5, 300, 2, 512


class Edges(nn.Module):
    """Embeddings of bond type and direction, added."""

    def __init__(self, width: int, types: int) -> None:
        super().__init__()
        self.edge_embedding1 = nn.Embedding(types, width)
        self.edge_embedding2 = nn.Embedding(3, width)

    def bond(self, bonds: Tensor) -> Tensor:
        """Embed bonds (e, 2) -> (e, width)."""
        found: Tensor = self.edge_embedding1(bonds[:, 0]) + self.edge_embedding2(bonds[:, 1])
        return found


class GcnEdges(Edges):
    """Sum over neighbours and self of (z_j + e_ij) / sqrt(deg_i deg_j), z = linear(h); degrees count the loop."""

    def __init__(self) -> None:
        super().__init__(WIDTH, 6)
        self.linear = nn.Linear(WIDTH, WIDTH)

    def forward(self, h: Tensor, edges: Tensor, bonds: Tensor) -> Tensor:
        """Map atoms (a, 300) to atoms (a, 300)."""
        source, target = edges
        root = _sum(h.new_ones(len(target), 1), target, len(h)).rsqrt()  # (a, 1)
        message = (self.linear(h)[source] + self.bond(bonds)) * root[source] * root[target]
        return _sum(message, target, len(h))


class GraphSage(Edges):
    """Mean over neighbours and self of z_j + e_ij, then each atom's vector to unit length."""

    def __init__(self) -> None:
        super().__init__(WIDTH, 6)
        self.linear = nn.Linear(WIDTH, WIDTH)

    def forward(self, h: Tensor, edges: Tensor, bonds: Tensor) -> Tensor:
        """Map atoms (a, 300) to atoms (a, 300)."""
        source, target = edges
        degree = _sum(h.new_ones(len(target), 1), target, len(h))
        mean = _sum(self.linear(h)[source] + self.bond(bonds), target, len(h)) / degree
        return nn.functional.normalize(mean, dim=1)


class Gat(Edges):
    """Attention over the edges into an atom, two heads, averaged."""

    def __init__(self) -> None:
        super().__init__(HEADS * WIDTH, 6)
        self.weight_linear = nn.Linear(WIDTH, HEADS * WIDTH)
        self.att = nn.Parameter(torch.empty(1, HEADS, 2 * WIDTH))
        self.bias = nn.Parameter(torch.empty(WIDTH))

    def forward(self, h: Tensor, edges: Tensor, bonds: Tensor) -> Tensor:
        """Map atoms (a, 300) to atoms (a, 300)."""
        source, target = edges
        z = self.weight_linear(h).view(-1, HEADS, WIDTH)
        values = z[source] + self.bond(bonds).view(-1, HEADS, WIDTH)  # (e, heads, width)
        # The product with the concatenation [z_i, v_j] is the sum of two products, without building it.
        own, other = self.att[0, :, :WIDTH], self.att[0, :, WIDTH:]
        score = nn.functional.leaky_relu((z * own).sum(-1)[target] + (values * other).sum(-1), 0.2)  # (e, heads)
        mixed = _sum(values * _softmax_into(score, target, len(h)).unsqueeze(-1), target, len(h))
        out: Tensor = mixed.mean(1) + self.bias
        return out


class MolClr(Edges):
    """Sum over neighbours and self of (h @ weight)_j + s_ij with a scalar s_ij; no degree normalisation."""

    def __init__(self) -> None:
        super().__init__(1, 5)
        self.weight = nn.Parameter(torch.empty(WIDTH, WIDTH))
        self.bias = nn.Parameter(torch.empty(WIDTH))

    def forward(self, h: Tensor, edges: Tensor, bonds: Tensor) -> Tensor:
        """Map atoms (a, 300) to atoms (a, 300)."""
        source, target = edges
        return _sum((h @ self.weight)[source] + self.bond(bonds), target, len(h)) + self.bias


LAYER: dict[str, Callable[[], Edges]] = {"gcn": GcnEdges, "graphsage": GraphSage, "gat": Gat, "molclr": MolClr}


class GraphNetwork(nn.Module):
    """Five convolutions with batch norm, ReLU between them, mean over atoms; MolCLR projects the mean once more."""

    def __init__(self, convolution: Convolution) -> None:
        super().__init__()
        contrastive = convolution == "molclr"
        self.x_embedding1 = nn.Embedding(119 if contrastive else 120, WIDTH)
        self.x_embedding2 = nn.Embedding(3, WIDTH)
        self.gnns = nn.ModuleList(LAYER[convolution]() for _ in range(LAYERS))
        self.batch_norms = nn.ModuleList(nn.BatchNorm1d(WIDTH) for _ in range(LAYERS))
        if contrastive:
            self.feat_lin = nn.Linear(WIDTH, PROJECTED)
            # The contrastive head: in the file, of no use downstream.
            self.out_lin = nn.Sequential(
                nn.Linear(PROJECTED, PROJECTED), nn.ReLU(), nn.Linear(PROJECTED, PROJECTED // 2)
            )
        self.eval()

    def forward(self, graphs: JoinedGraph) -> Tensor:
        """Embed molecules, (count, 300) or (count, 512)."""
        atoms, edges, bonds, molecule = (
            torch.as_tensor(part) for part in (graphs.atoms, graphs.edges, graphs.bonds, graphs.molecule)
        )
        h = self.x_embedding1(atoms[:, 0]) + self.x_embedding2(atoms[:, 1])  # (a, 300)
        for layer, (convolution, norm) in enumerate(zip(self.gnns, self.batch_norms, strict=True)):
            h = norm(convolution(h, edges, bonds))
            if layer < LAYERS - 1:
                h = torch.relu(h)
        count = torch.bincount(molecule, minlength=graphs.count).to(h.dtype)
        mean = _sum(h, molecule, graphs.count) / count.unsqueeze(1)
        found: Tensor = self.feat_lin(mean) if hasattr(self, "feat_lin") else mean
        return found


def _sum(values: Tensor, index: Tensor, size: int) -> Tensor:
    """Add up rows (e, ...) by index -> (size, ...)."""
    return values.new_zeros(size, *values.shape[1:]).index_add_(0, index, values)


def _softmax_into(score: Tensor, target: Tensor, size: int) -> Tensor:
    """Softmax (e, heads) over the edges that share a target."""
    index = target.unsqueeze(1).expand_as(score)
    highest = score.new_full((size, score.shape[1]), -torch.inf).scatter_reduce(0, index, score, "amax")
    weight = (score - highest[target]).exp()
    return weight / _sum(weight, target, size)[target]
