import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from leaq.embedders import EMBEDDERS
from leaq.embedders.networks.chemvae import SmilesEncoder
from leaq.models.nets.pretrained import GraphNetwork
from tests.helpers import ROUNDING32, require

require_rdkit = pytest.fixture(autouse=True)(lambda: require("rdkit"))


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory):
    """Files of random weights, of the right shapes, by embedder name."""
    folder = tmp_path_factory.mktemp("weights")
    kinds = {"gcn_contextpred": "gcn", "gat_contextpred": "gat", "molclr_gcn": "molclr"}
    networks = {name: GraphNetwork(kind) for name, kind in kinds.items()} | {"chemvae_zinc": SmilesEncoder()}
    found = {}
    generator = torch.Generator().manual_seed(0)
    for name, network in networks.items():
        tensors = {
            key: value if value.dtype == torch.int64 else 0.1 * torch.randn(value.shape, generator=generator)
            for key, value in network.state_dict().items()
        }
        tensors |= {key: value.abs() + 0.5 for key, value in tensors.items() if key.endswith("running_var")}
        save_file(tensors, folder / f"{name}.safetensors")
        found[name] = EMBEDDERS.build(f"{name}(weights={str(folder / f'{name}.safetensors')!r})")
    return found


@pytest.mark.parametrize(("name", "size"), [("gcn_contextpred", 300), ("molclr_gcn", 512), ("chemvae_zinc", 196)])
def test_dimensions_are_those_of_the_listing(random_weights, name, size):

    found = random_weights[name].encode(["CCO", "c1ccccc1"])
    assert found.features.shape == (2, size)
    assert EMBEDDERS.get(name).dimension == size


@pytest.mark.parametrize("name", ["gcn_contextpred", "gat_contextpred", "molclr_gcn", "chemvae_zinc"])
def test_a_molecule_has_one_embedding_whoever_is_beside_it(random_weights, name):
    embedder = random_weights[name]
    together = embedder.encode(["CCO", "CC(=O)N", "C"]).features
    alone = np.concatenate([embedder.encode([text]).features for text in ("CCO", "CC(=O)N", "C")])
    np.testing.assert_allclose(together, alone, **ROUNDING32)
    assert np.abs(together[0] - together[1]).max() > 1e-5


def test_what_a_graph_network_cannot_say_is_named(random_weights):
    found = random_weights["gcn_contextpred"].encode(["CCO", "*C", "no molecule", "C->[Pt]", "C"])
    assert found.failed == {
        1: "it has a dummy atom",
        2: "RDKit cannot read it",
        3: "it has a bond of type DATIVE, direction NONE",
    }
    assert found.features[4].any()


def test_what_the_smiles_encoder_cannot_say_is_named(random_weights):
    found = random_weights["chemvae_zinc"].encode(["CCO", "C.C", "[Na+]", "C" * 121, "OCC"])
    assert found.failed == {
        1: "its SMILES has a character outside the encoder's alphabet ('.')",
        2: "its SMILES has a character outside the encoder's alphabet ('a')",
        3: "its SMILES is longer than 120 characters",
    }
    np.testing.assert_array_equal(found.features[0], found.features[4])  # canonicalised first


def test_a_thousand_atoms_are_no_trouble(random_weights):
    found = random_weights["gcn_contextpred"].encode(["N" + "CC(=O)N" * 250 + "C"])
    assert not found.failed
    assert np.isfinite(found.features).all()


def test_nothing_encodable_is_no_crash(random_weights):
    for name in ("gcn_contextpred", "chemvae_zinc"):
        assert set(random_weights[name].encode(["*", "**"]).failed) == {0, 1}
