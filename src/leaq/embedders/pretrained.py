"""Frozen pretrained networks as embedders: graph networks, and a convolutional encoder of SMILES."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from leaq.embedders.base import Card, Encoded, MoleculeEmbedder, read_molecules
from leaq.embedders.weights import Weights, check_shapes, embedder_weights, find_weights, tensor_sha256
from leaq.types import Flag, Progress, silent

if TYPE_CHECKING:
    import torch

__all__ = ["CARDS", "KNOWN", "ChemVae", "PretrainedGraph"]

_RAW = "https://raw.githubusercontent.com/"
_HU = _RAW + "snap-stanford/pretrain-gnns/8b20528/chem/model_architecture/"
_CONTEXT = "context prediction on 2 million ZINC molecules, no labels"

KNOWN: dict[str, Weights] = {
    "gcn_contextpred": Weights(
        "pretraingnns_gcn_contextpred.safetensors",
        "79968b2f6294253181e1550ec4dd3283ece5cd3b7b6d4ea73c47b179d7bb68cf",
        f"{_HU}gcn_contextpred.pth",
        "ff1d9c5e5c198b8faf8af576c303808853e3f55a52aed7ae27964e3c8635a81a",
        "snap-stanford/pretrain-gnns",
        "MIT",
        _CONTEXT,
    ),
    "graphsage_contextpred": Weights(
        "pretraingnns_graphsage_contextpred.safetensors",
        "01d35675714fb4efb9df1b9627fd36111ac9be832cf43e04d48005d702b6eb1c",
        f"{_HU}graphsage_contextpred.pth",
        "63976e7795ae3ab46fc97c40a047ce1c4b13e243c2f8ef9125e78c7fabee9279",
        "snap-stanford/pretrain-gnns",
        "MIT",
        _CONTEXT,
    ),
    "gat_contextpred": Weights(
        "pretraingnns_gat_contextpred.safetensors",
        "7299f0702b5106fc205116ce46c2b4dc75ea09a912cfd25c05bf9c39af754473",
        f"{_HU}gat_contextpred.pth",
        "de030068b3cb8b5d2d4da09fd377fac0a111f401904d3806104874e058bc4af8",
        "snap-stanford/pretrain-gnns",
        "MIT",
        _CONTEXT,
    ),
    "graphsage_supervised_contextpred": Weights(
        "pretraingnns_graphsage_supervised_contextpred.safetensors",
        "244134e2416810b6e59badf045eee14b9093797d647fb92b0d0aa697daedee7f",
        f"{_HU}graphsage_supervised_contextpred.pth",
        "aca7caa7c15a0e478b57d5d2cca84d8bda6d4500614bd96486b84739bff3929b",
        "snap-stanford/pretrain-gnns",
        "MIT",
        f"{_CONTEXT}; then supervised on ChEMBL assays, WITH labels",
    ),
    "molclr_gcn": Weights(
        "molclr_gcn.safetensors",
        "02dc07147ba7de7036c0579c283317e6606eb89e7797dfcdd4fcf0cc954e40cc",
        f"{_RAW}yuyangw/MolCLR/3d3bc19/ckpt/pretrained_gcn/checkpoints/model.pth",
        "870e4599856867f4ae9f42f188f60b4199d23c39e1f99df092f6f8d45baccf5b",
        "yuyangw/MolCLR",
        "MIT",
        "contrastive on 10 million PubChem molecules, no labels",
    ),
    "chemvae_zinc": Weights(
        "chemvae_zinc.safetensors",
        "712629165d1448be10de45234dcdc6411202bab5f702cccf2e481798813a6617",
        "",  # upstream's file is HDF5
        "37e96cd3bc8f9680d3c2aa4d294a39e78f00a0decc22501bde23d5a464ac314a",
        "aspuru-guzik-group/chemical_vae",
        "Apache-2.0",
        "variational autoencoder on 250,000 ZINC molecules, no labels",
    ),
}


class Pretrained(MoleculeEmbedder):
    """A frozen network whose weights are known, or the user's own of the same shape."""

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

        tensors = embedder_weights(self.known(), self.weights)
        with torch.device("meta"):
            empty = self.architecture()
        wanted = {name: tuple(tensor.shape) for name, tensor in empty.state_dict().items()}
        optional = [name for name in wanted if name.endswith("num_batches_tracked") and name not in tensors]
        for name in optional:  # a counter of training steps that some files leave out
            del wanted[name]
        check_shapes(self.describe(), tensors, wanted)
        counters = {name: torch.tensor(0) for name in optional}
        empty.load_state_dict({**tensors, **counters}, assign=True)
        return empty.to(getattr(torch, self.dtype)).eval()

    def fingerprint_of_code(self) -> str:
        """Return the version of RDKit and the hash of the weights."""
        weights = (
            self.known().sha256 if self.weights is None else tensor_sha256(embedder_weights(self.known(), self.weights))
        )
        return f"{super().fingerprint_of_code()}, weights {weights}"

    def flags(self) -> tuple[Flag, ...]:
        """Flag weights nobody checked, and weights that have seen labels."""
        if self.weights is not None:
            return (Flag("unverified-weights", "The embedder's weights are the user's own file; only shapes fit."),)
        if "WITH labels" in self.known().pretrained:
            text = (
                f"The embedder was pretrained with labels ({self.known().pretrained}): it may have seen this task's "
                "answers. Accuracy is then too high, and the leak of the head says nothing about what it gives away."
            )
            return (Flag("pretrained-on-labels", text),)
        return ()


class PretrainedGraph(Pretrained):
    """Mean over atoms of a pretrained graph network's last layer."""

    cost: ClassVar[float] = 3.0
    name: Literal[
        "gcn_contextpred", "graphsage_contextpred", "gat_contextpred", "graphsage_supervised_contextpred", "molclr_gcn"
    ] = "gcn_contextpred"

    def known(self) -> Weights:
        """Return the weights of that name."""
        return KNOWN[self.name]

    def architecture(self) -> "torch.nn.Module":
        """Build the network, its weights not yet set."""
        from leaq.embedders.networks.graph import GraphNetwork

        kinds: dict[str, Any] = {"graphsage_supervised_contextpred": "graphsage", "molclr_gcn": "molclr"}
        return GraphNetwork(kinds.get(self.name, self.name.split("_", maxsplit=1)[0]))

    def encode(self, smiles: Sequence[str], *, progress: Progress = silent) -> Encoded:
        """Return (n, 300) or (n, 512) features."""
        import torch

        from leaq.embedders.graphs import batches, graph_of

        network = self.network()
        molecules, failed = read_molecules(smiles)
        graphs, rows = [], []
        for row, molecule in enumerate(molecules):
            found = UNSEEN if molecule is None else graph_of(molecule)
            if isinstance(found, str):
                failed.setdefault(row, found)
            else:
                graphs.append(found)
                rows.append(row)
        parts = []
        with torch.no_grad():
            for batch in batches(graphs):
                parts.append(network(batch).numpy())
                progress("embedding", sum(map(len, parts)), len(smiles))
        return Encoded(_placed(parts, rows, len(smiles)), failed)

    def describe(self) -> str:
        """Say what the features are."""
        return f"pretrained graph network {self.name}"


UNSEEN = "unread"
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
        """Return the ZINC weights."""
        return KNOWN["chemvae_zinc"]

    def architecture(self) -> "torch.nn.Module":
        """Build the encoder, its weights not yet set."""
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
        """Say what the features are."""
        return "pretrained SMILES encoder chemvae_zinc"


def _placed(parts: list[Any], rows: list[int], n: int) -> Any:
    """Put features of some molecules into their rows of (n, d)."""
    found = np.concatenate(parts) if parts else np.zeros((0, 1), dtype=np.float32)
    features = np.zeros((n, found.shape[1]), dtype=found.dtype)
    features[rows] = found
    return features


def _card(name: str, size: int, what: str, make: Callable[..., MoleculeEmbedder]) -> Card:
    known, family = KNOWN[name], "SMILES network" if make is ChemVae else "graph network"
    return Card(name, make, size, "smiles", family, what, known.source, known.licence, known.pretrained)


def _graph(name: str, size: int, what: str) -> Card:
    return _card(name, size, what, partial(PretrainedGraph, name=name))


CARDS = (
    _graph("gcn_contextpred", 300, "GCN"),
    _graph("graphsage_contextpred", 300, "GraphSAGE"),
    _graph("gat_contextpred", 300, "GAT"),
    _graph("graphsage_supervised_contextpred", 300, "GraphSAGE"),
    _graph("molclr_gcn", 512, "GCN"),
    _card("chemvae_zinc", 196, "convolutional encoder", ChemVae),
)
