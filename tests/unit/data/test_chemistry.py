import numpy as np
import pytest

from leaq.data import chemistry
from tests.helpers import ROUNDING, require

require_rdkit = pytest.fixture(autouse=True)(lambda: require("rdkit"))


def flags(smiles):
    return {flag.code: flag.text for flag in chemistry.near_duplicates(chemistry.parsed_molecules(smiles))}


def test_stereoisomers_are_counted():
    found = flags(["C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "CCO", "CCCCCC"])
    assert "2 of 4 molecules have a stereoisomer in the pool" in found["stereoisomers"]
    assert "tautomers" not in found


@pytest.mark.parametrize("pair", [("[NH3+]CC(=O)[O-]", "NCC(=O)O"), ("CC(=O)O", "CC(=O)[O-]"), ("CCN", "CC[NH3+]")])
def test_states_of_charge_are_counted_with_tautomers(pair):
    assert "2 of 3 molecules have a tautomer or another state of charge" in flags([*pair, "CCO"])["tautomers"]
    assert "tautomers" not in flags(["C[N+](C)(C)C", "CN(C)C", "CCO"])


def test_tautomers_are_counted():
    assert "2 of 3 molecules have a tautomer" in flags(["Oc1ccccn1", "O=c1cccc[nH]1", "CCO"])["tautomers"]


def test_close_analogues_are_counted():
    long = "CCCCCCCCCCCCCCCCCCCC"
    assert (
        "2 of 3 molecules have a close analogue (Tanimoto >= 0.7)"
        in flags([long, long + "C", "c1ccccc1"])["close-analogues"]
    )


def test_strangers_raise_no_flag():
    assert flags(["CCO", "c1ccccc1", "N#N"]) == {}


def test_an_estimated_share_says_so(monkeypatch):
    monkeypatch.setattr(chemistry, "PROBES", 4)
    chains = ["C" * n for n in range(12, 24)]
    assert "4 of 4 sampled molecules" in flags(chains)["close-analogues"]


def test_neighbours_agree_with_a_direct_search():
    from rdkit import Chem, DataStructs
    from rdkit.Chem import rdFingerprintGenerator

    smiles = ["CCO", "CCCO", "CCCCO", "c1ccccc1", "Cc1ccccc1", "c1ccncc1", "CC(=O)O"]
    found = chemistry.similar_molecules(smiles, most=3)
    make = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    bits = [make.GetFingerprint(Chem.MolFromSmiles(text)) for text in smiles]
    slow = np.array([[DataStructs.TanimotoSimilarity(a, b) for b in bits] for a in bits])
    np.fill_diagonal(slow, -1)
    np.testing.assert_allclose(found.similarity, -np.sort(-slow, axis=1)[:, :3], **ROUNDING)
    assert all(probe not in row for probe, row in zip(found.probes, found.index, strict=True))


def test_a_sample_of_probes_depends_on_the_seed():
    chains = ["C" * n for n in range(1, 30)]
    first = chemistry.similar_molecules(chains, most=1, probes=5).probes
    assert first.tolist() == chemistry.similar_molecules(chains, most=1, probes=5).probes.tolist()
    assert first.tolist() != chemistry.similar_molecules(chains, most=1, probes=5, seed=1).probes.tolist()


def test_clusters_hold_similar_molecules():
    long = "CCCCCCCCCCCCCCCCCCCC"
    found = chemistry.clusters([long, "c1ccccc1", long + "C", "Cc1ccncc1"])
    assert found[0] == found[2]
    assert len(set(found.tolist())) == 3


def test_a_drawing_is_one_svg_element():
    text = chemistry.drawing("CC(=O)Oc1ccccc1C(=O)O")
    assert text.startswith("<svg")
    assert text.endswith("</svg>")
    assert "script" not in text
