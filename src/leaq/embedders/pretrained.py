"""Frozen pretrained networks as embedders: graph networks, and a convolutional encoder of SMILES."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from leaq.embedders.base import STEP, EmbedderEntry, Encoded, MoleculeEmbedder, read_molecules
from leaq.embedders.molgraph import MolGraph
from leaq.models.nets.weights import KNOWN, Weights, convolution, filled, find_weights, identity_of, weight_flags
from leaq.types import Flag, Progress, silent

if TYPE_CHECKING:
    import torch


class Pretrained(MoleculeEmbedder):
    """A frozen network whose weights are known, or the user's own of the same shape."""

    learned: ClassVar[bool] = True
    separable: ClassVar[bool] = False  # torch spreads a batch over the cores itself
    weights: str | None = None
    """A safetensors file of your own; by default the known weights, looked for in LEAQ_WEIGHTS_DIR."""
    dtype: Literal["float32", "float64"] = "float32"

    def known(self) -> Weights:
        """Return the weights this network is known by."""
        raise NotImplementedError

    def locate(self, *, progress: Progress = silent) -> None:
        """Make sure that the weights are there, downloading known ones that are not; nothing is read."""
        find_weights(self.known(), self.weights, progress=progress)

    def architecture(self) -> "torch.nn.Module":
        """Build the network, its weights not yet set."""
        raise NotImplementedError

    def network(self) -> "torch.nn.Module":
        """Build the network with its weights, checked by hash (known ones) and by shape (all)."""
        import torch

        return filled(self.architecture, self.known(), self.weights, what=self.describe()).to(
            getattr(torch, self.dtype)
        )

    def fingerprint_of_code(self) -> str:
        """Return the version of RDKit and the hash of the weights."""
        return f"{super().fingerprint_of_code()}, weights {identity_of(self.known(), self.weights)}"

    def flags(self) -> tuple[Flag, ...]:
        """Flag weights nobody checked, and weights that have seen labels."""
        return weight_flags(self.known(), self.weights)


class PretrainedGraph(Pretrained):
    """Mean over atoms of a pretrained graph network's last layer."""

    cost: ClassVar[float] = 3.0
    name: Literal[
        "gcn_contextpred", "graphsage_contextpred", "gat_contextpred", "graphsage_supervised_contextpred", "molclr_gcn"
    ] = "gcn_contextpred"

    def known(self) -> Weights:
        return KNOWN[self.name]

    def architecture(self) -> "torch.nn.Module":
        from leaq.models.nets.pretrained import GraphNetwork

        return GraphNetwork(convolution(self.name))

    def encode(self, smiles: Sequence[str], *, progress: Progress = silent) -> Encoded:
        """Return (n, 300) or (n, 512) features."""
        import torch

        network, packer = self.network(), MolGraph(vocabulary="words")
        parts, rows, failed = [], [], dict[int, str]()
        for start in range(0, len(smiles), STEP):  # a few at a time: rows are as wide as the largest molecule
            packed = packer.encode(smiles[start : start + STEP])
            failed |= {start + row: reason for row, reason in packed.failed.items()}
            there = [row for row in range(len(packed.features)) if row not in packed.failed]
            if there:
                with torch.no_grad():
                    parts.append(network(torch.tensor(packed.features[there]).to(getattr(torch, self.dtype))).numpy())
                rows += [start + row for row in there]
            progress("embedding", min(start + STEP, len(smiles)), len(smiles))
        return Encoded(_placed(parts, rows, len(smiles)), failed)

    def describe(self) -> str:
        return f"pretrained graph network {self.name}"


ALPHABET = [
    *"76o]3s(-S/B4[)#IlOHc1@=nP8C2F5rN+\\",
    " ",
]
"""The 35 characters of the encoder's one-hot input, in its order; the last one pads."""
LONGEST = 120


class ChemVae(Pretrained):
    """Latent mean of a variational autoencoder's convolutional SMILES encoder. A weak embedder, of another kind.

    Source: Gomez-Bombarelli et al., "Automatic Chemical Design Using a Data-Driven Continuous Representation of
    Molecules" (arXiv 1610.02415v3). SMILES longer than 120 characters, or with a character outside its 35 (".", "%",
    "i", "a", ...), cannot be encoded: up to 12 % of a task's molecules.
    """

    cost: ClassVar[float] = 0.6

    def known(self) -> Weights:
        return KNOWN["chemvae_zinc"]

    def architecture(self) -> "torch.nn.Module":
        from leaq.embedders.networks.chemvae import SmilesEncoder

        return SmilesEncoder()

    def encode(self, smiles: Sequence[str], *, progress: Progress = silent) -> Encoded:
        """Return (n, 196) features."""
        import torch
        from rdkit import Chem

        network = self.network()
        molecules, failed = read_molecules(smiles)
        words, rows = [], []
        for row, molecule in enumerate(molecules):
            if molecule is None:
                continue
            text = Chem.MolToSmiles(molecule)
            strange = sorted(set(text) - set(ALPHABET[:-1]))
            if strange:
                failed[row] = f"its SMILES has a character outside the encoder's alphabet ({strange[0]!r})"
            elif len(text) > LONGEST:
                failed[row] = f"its SMILES is longer than {LONGEST} characters"
            else:
                words.append([ALPHABET.index(letter) for letter in text.ljust(LONGEST)])
                rows.append(row)
        parts = []
        with torch.no_grad():
            for start in range(0, len(words), 512):
                codes = torch.tensor(words[start : start + 512])
                onehot = torch.nn.functional.one_hot(codes, len(ALPHABET)).to(getattr(torch, self.dtype))
                parts.append(network(onehot.transpose(1, 2)).numpy())  # (b, 35, 120) -> (b, 196)
                progress("embedding", min(start + 512, len(words)), len(words))
        return Encoded(_placed(parts, rows, len(smiles)), failed)

    def describe(self) -> str:
        return "pretrained SMILES encoder chemvae_zinc"


def _placed(parts: list[Any], rows: list[int], n: int) -> Any:
    """Put features of some molecules into their rows of (n, d)."""
    found = np.concatenate(parts) if parts else np.zeros((0, 1), dtype=np.float32)
    features = np.zeros((n, found.shape[1]), dtype=found.dtype)
    features[rows] = found
    return features


def _card(name: str, size: int, what: str, make: Callable[..., MoleculeEmbedder]) -> EmbedderEntry:
    known, family = KNOWN[name], "SMILES network" if make is ChemVae else "graph network"
    return EmbedderEntry(name, make, size, "smiles", family, what, known.source, known.licence, known.pretrained)


def _graph(name: str, size: int, what: str) -> EmbedderEntry:
    return _card(name, size, what, partial(PretrainedGraph, name=name))


ENTRIES = (
    _graph("gcn_contextpred", 300, "GCN"),
    _graph("graphsage_contextpred", 300, "GraphSAGE"),
    _graph("gat_contextpred", 300, "GAT"),
    _graph("graphsage_supervised_contextpred", 300, "GraphSAGE"),
    _graph("molclr_gcn", 512, "GCN"),
    _card("chemvae_zinc", 196, "convolutional encoder", ChemVae),
)
