"""Graph networks over rows of packed molecules (`leaq.models.nets.layout`), trained end to end; plain torch modules.

Each is called with rows (n, w), or inside a stacked program with what its `collate` made of them.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from leaq.models.calling import as_given
from leaq.models.nets.environments import Environments, MoleculeBatches, environments
from leaq.models.nets.graphs import Graphs, adjacent, collate, pool, sources, sums_of
from leaq.models.nets.layout import ATOM, BOND

Aggregation = Literal["mean", "sum", "norm"]
"""How atoms make a molecule: their mean, their sum, or their sum over 100."""
MOLECULES = 256
"""Molecules of one pass outside a stacked program; more have little more in common, and take more memory."""


def _alone(graphs: Graphs) -> tuple[Graphs]:
    return (graphs,)


class Molecules:
    """Rows of packed molecules as graphs, some at a time, made once for all models that read them.

    Parameters
    ----------
    inputs : (n, w) packed molecules.
    collated : (1, n, w) -> graphs of one model.
    ready : what a network is called with for such graphs.
    """

    def __init__(
        self,
        inputs: Tensor,
        collated: Callable[[Tensor], Graphs],
        ready: Callable[[Graphs], tuple[Any, ...]] = _alone,
    ) -> None:
        self.parts = [ready(collated(part.unsqueeze(0)).of(0)) for part in torch.split(inputs, MOLECULES)]


def in_parts(
    outputs: Callable[..., Tensor],
    inputs: Tensor | Graphs | Environments | Molecules,
    collated: Callable[[Tensor], Graphs],
) -> Tensor:
    """Return the outputs (n, k) of a network of graphs: of rows (n, w), a few molecules at a time."""
    if isinstance(inputs, Graphs | Environments):
        return outputs(inputs)
    whole = inputs if isinstance(inputs, Molecules) else Molecules(inputs, collated)
    return torch.cat([outputs(*part) for part in whole.parts])


def affine(layer: nn.Linear, *parts: Tensor) -> Tensor:
    """Apply a layer to rows (n, in); to each model's rows (m, n, in) its own, if its weights have a model axis.

    Rows may come in parts that stand beside each other: parts without a gradient then cost none.
    """
    if layer.weight.ndim == 2:
        found: Tensor = layer(torch.cat(parts, dim=-1))
        return found
    first, *others = zip(parts, torch.split(layer.weight.mT, [part.shape[-1] for part in parts], dim=1), strict=True)
    total = torch.bmm(*first) if layer.bias is None else torch.baddbmm(layer.bias.unsqueeze(1), *first)
    for part, weight in others:
        total = torch.baddbmm(total, part, weight)
    return total


class Unscale(nn.Module):
    """Outputs in the unit of the targets, as chemprop releases them: times a scale, plus a mean."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, k))
        self.register_buffer("scale", torch.ones(1, k))

    def forward(self, outputs: Tensor) -> Tensor:
        """Map standardised outputs (b, k)."""
        return outputs * self.get_buffer("scale") + self.get_buffer("mean")


class Predictor(nn.Module):
    """A perceptron from a molecule's vector to its outputs, named as chemprop names it.

    Parameters
    ----------
    widths : from the molecule's vector to the outputs.
    unscale : whether outputs have a scale and a mean of their own.
    """

    def __init__(self, widths: Sequence[int], *, unscale: bool) -> None:
        super().__init__()
        first, *rest = [nn.Linear(before, after) for before, after in pairwise(widths)]
        self.ffn = nn.Sequential(
            nn.Sequential(first), *(nn.Sequential(nn.ReLU(), nn.Identity(), linear) for linear in rest)
        )
        self.output_transform = Unscale(widths[-1]) if unscale else nn.Identity()

    def forward(self, molecules: Tensor) -> Tensor:
        """Map vectors (b, width) to outputs (b, k)."""
        found = molecules
        for layer in (part for part in self.ffn.modules() if not isinstance(part, nn.Sequential)):
            found = affine(layer, found) if isinstance(layer, nn.Linear) else layer(found)
        outputs: Tensor = self.output_transform(found)
        return outputs


class GraphNet(nn.Module):
    """Rows become graphs, messages make a vector of each atom, atoms make a molecule, a perceptron predicts.

    Parameters
    ----------
    message_passing : from `Graphs` to atoms (a, widths[0]).
    widths : of the perceptron, from a molecule's vector to the outputs.
    aggregation : how atoms make a molecule.
    unscale : outputs have a scale and a mean of their own.
    norm : what "norm" divides by.
    normalise : a batch normalisation of molecules' vectors.
    """

    collate = staticmethod(collate)
    """Makes graphs of batches (m, b, w) of packed molecules; see `leaq.training.StackedModule`."""

    def __init__(
        self,
        message_passing: nn.Module,
        widths: Sequence[int],
        *,
        aggregation: Aggregation,
        unscale: bool = False,
        norm: float = 100.0,
        normalise: bool = False,
    ) -> None:
        super().__init__()
        self.message_passing = message_passing
        self.aggregation, self.norm = aggregation, norm
        self.bn = nn.BatchNorm1d(widths[0]) if normalise else nn.Identity()
        self.outputs = widths[-1]
        self.batches = self._batches if isinstance(message_passing, DirectedMessages) and not normalise else None
        """Makes batches of all models of records (n, w), where they go through it together; see there."""
        self.kind = ""
        """What the outputs are, where a file of chemprop's says so: see `leaq.models.nets.chemprop.Ensemble`."""
        self.targets: tuple[str, ...] = ()
        """Names of the columns it predicts, where such a file says them."""
        self.predictor = Predictor(widths, unscale=unscale)

    def prepared(self, inputs: Tensor) -> Molecules:
        """Return rows (n, w) as graphs, and what all models compute of them alike."""
        return Molecules(inputs, self.collate, getattr(self.message_passing, "prepared", _alone))

    def forward(self, inputs: Tensor | Graphs | Environments | Molecules) -> Tensor:
        """Return logits or predictions (n, k)."""
        return in_parts(self._outputs, inputs, self.collate)

    def described(self) -> str:
        """Return its options as `leaq.models.nets.Net` names them."""
        messages: Any = self.message_passing
        width = self.predictor.ffn[0][0].in_features  # type: ignore[index]
        return f"hidden={width}, depth={messages.depth}, aggregation={self.aggregation}"

    def _batches(self, inputs: Tensor) -> MoleculeBatches:
        messages: Any = self.message_passing
        return MoleculeBatches(self.collate(inputs.unsqueeze(0)).of(0), messages.depth)

    def _outputs(self, graphs: Graphs | Environments, *ready: Any) -> Tensor:
        read: Callable[..., Any] = getattr(self.message_passing, "read", as_given)
        batch = read(graphs, *ready)
        summed = batch.summed(self.message_passing(batch))
        if self.aggregation == "mean":
            summed = summed / batch.sizes.unsqueeze(-1)
        elif self.aggregation == "norm":
            summed = summed / self.norm
        outputs: Tensor = self.predictor(self.bn(summed))
        return outputs


class DirectedMessages(nn.Module):
    """Messages along directed bonds, never straight back; `depth` - 1 rounds, then a sum into each atom.

    What has the same surroundings in a batch has the same state, and is computed once (`environments`).

    The encoder of chemprop 2 with its defaults; parameters are named as there. Source: Yang et al., "Analyzing Learned
    Molecular Representations for Property Prediction" (arXiv 1904.01561v5).
    """

    def __init__(self, hidden: int, depth: int, *, bias: bool = False) -> None:
        super().__init__()
        self.depth = depth
        self.W_i = nn.Linear(ATOM + BOND, hidden, bias=bias)
        self.W_h = nn.Linear(hidden, hidden, bias=bias)
        self.W_o = nn.Linear(ATOM + hidden, hidden)

    def prepared(self, graphs: Graphs) -> tuple[Graphs, Environments]:
        """Return graphs, and what is alike in them."""
        return graphs, environments(graphs, self.depth, shared=True)

    def read(self, graphs: Graphs | Environments, alike: Environments | None = None) -> Environments:
        """Return what of a batch is run: what is alike once; all of it for who watches, and counts bonds by rows."""
        if isinstance(graphs, Environments):
            return graphs
        watched = any(part._forward_pre_hooks or part._forward_hooks for part in (self.W_i, self.W_h, self.W_o))
        if watched or alike is None or len(alike.rounds) != self.depth - 1:
            return environments(graphs, self.depth, shared=not watched)
        return alike

    def forward(self, alike: Environments) -> Tensor:
        """Return the vector of each atom that stands for others, (v, hidden)."""
        start = affine(self.W_i, alike.first)
        state = torch.relu(start)
        for first, inward in alike.rounds:
            state = torch.relu_(sums_of(start, first) + affine(self.W_h, sums_of(state, inward)))
        return torch.relu(affine(self.W_o, alike.atoms, sums_of(state, alike.inward)))


class Isomorphisms(nn.Module):
    """A graph isomorphism network that sees bonds: a perceptron of (1 + eps) h_v + sum of relu(h_u + e_uv).

    Layer normalisation stands where the authors have batch normalisation: a record's output must not depend on the
    others of its batch. Sources: Xu et al., "How Powerful are Graph Neural Networks?" (arXiv 1810.00826v3); Hu et al.
    (arXiv 1905.12265v3) for the bonds.
    """

    def __init__(self, hidden: int, depth: int) -> None:
        super().__init__()
        self.start = nn.Linear(ATOM, hidden)
        self.ties = nn.ModuleList(nn.Linear(BOND, hidden) for _ in range(depth))
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.LayerNorm(hidden))
            for _ in range(depth)
        )
        self.eps = nn.Parameter(torch.zeros(depth))

    def forward(self, graphs: Graphs) -> Tensor:
        """Return each atom's vector (a, hidden)."""
        h: Tensor = self.start(graphs.atoms)
        for eps, tie, layer in zip(self.eps, self.ties, self.layers, strict=True):
            inward = pool(torch.relu(sources(h, graphs) + tie(graphs.bonds)), graphs.target, graphs.bond_starts)
            h = torch.relu(layer((1 + eps) * h + inward))
        return h


class Convolutions(nn.Module):
    """A graph convolutional network: the sum over neighbours and self of W h_u / sqrt(d_u d_v), residual.

    Degrees count the loop; bonds are seen by their presence only. Source: Kipf and Welling, "Semi-Supervised
    Classification with Graph Convolutional Networks" (arXiv 1609.02907v4).
    """

    def __init__(self, hidden: int, depth: int) -> None:
        super().__init__()
        self.start = nn.Linear(ATOM, hidden)
        self.layers = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(depth))

    def forward(self, graphs: Graphs) -> Tensor:
        """Return each atom's vector (a, hidden)."""
        ones = torch.ones_like(graphs.bonds[:, :1])
        root = (1 + pool(ones, graphs.target, graphs.bond_starts)).rsqrt()  # (a, 1)
        h: Tensor = torch.relu(self.start(graphs.atoms))
        for layer in self.layers:
            z = layer(h) * root
            h = h + torch.relu((adjacent(z, graphs) + z) * root)
        return h
