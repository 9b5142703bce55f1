"""What every embedder promises, over every registered one that can be built here; a broken one is caught."""

from collections.abc import Sequence

import numpy as np
import pytest

from leaq.embedders import EMBEDDERS, entries
from leaq.embedders.base import Encoded, MoleculeEmbedder
from tests.helpers import SHARED, require

SMILES = ["CCO", "c1ccccc1", "CC(=O)Oc1ccccc1C(=O)O", "C", "N#Cc1ccncc1", "C[C@H](N)C(=O)O"]
ENTRIES = {card.name: card for card in entries()}
NEED_WEIGHTS = {card.name for card in ENTRIES.values() if card.pretrained and card.name != "huggingface"}
NAMES = [name for name, card in ENTRIES.items() if card.kind == "smiles" and name != "huggingface"]


@pytest.fixture(params=NAMES)
def embedder(request, monkeypatch):
    require("rdkit")
    if request.param in NEED_WEIGHTS:
        if not (SHARED / "embedders").exists():
            pytest.skip("needs the test weights")
        monkeypatch.setenv("LEAQ_WEIGHTS_DIR", str(SHARED / "embedders"))
    return EMBEDDERS.build(request.param)


def breaches(embedder, dimension):
    """Name the promises an embedder breaks."""
    found = []
    first, again = embedder.encode(SMILES), embedder.encode(SMILES)
    if not np.array_equal(first.features, again.features):
        found.append("deterministic")
    if first.features.shape[0] != len(SMILES) or dimension not in (None, first.features.shape[1]):
        found.append("shape")
    if not np.isfinite(first.features).all():
        found.append("finite")
    backwards = embedder.encode(SMILES[::-1]).features[::-1]
    if not np.allclose(first.features, backwards, rtol=1e-4, atol=1e-4):
        found.append("order")
    if len(np.unique(first.features.round(6), axis=0)) < len(SMILES) - 1:
        found.append("distinct")
    if set(embedder.encode([*SMILES, "no molecule", ""]).failed) != {len(SMILES), len(SMILES) + 1}:
        found.append("failures")
    return found


def test_every_embedder_keeps_its_promises(embedder, request):
    name = request.node.callspec.params["embedder"]
    assert breaches(embedder, ENTRIES[name].dimension) == []


def test_configurations_survive_a_round_trip(embedder):
    assert type(embedder).from_dict(embedder.to_dict()) == embedder
    assert embedder.describe()


class Broken(MoleculeEmbedder):
    """Breaks every promise: zeros for what it cannot read, another number each time, depends on the order."""

    def encode(self, smiles: Sequence[str], *, progress=None):
        rng = np.random.default_rng()
        return Encoded(np.arange(len(smiles))[:, None] * 0.0 + rng.random())


def test_a_broken_embedder_is_caught():
    assert set(breaches(Broken(), 2)) == {"deterministic", "shape", "order", "distinct", "failures"}
