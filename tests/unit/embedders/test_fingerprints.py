import numpy as np
import pytest

from leaq.embedders import EMBEDDERS, Morgan
from leaq.errors import InvalidInput
from tests.helpers import require

require_rdkit = pytest.fixture(autouse=True)(lambda: require("rdkit"))
ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


def encode(spec, *smiles):
    return EMBEDDERS.build(spec).encode(smiles)


def test_ecfp4_is_the_morgan_fingerprint_of_radius_2():
    from rdkit import Chem
    from rdkit.Chem import rdFingerprintGenerator

    make = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    expected = make.GetFingerprintAsNumPy(Chem.MolFromSmiles(ASPIRIN))
    np.testing.assert_array_equal(encode("ecfp4", ASPIRIN).features[0], expected)
    assert EMBEDDERS.build("ecfp4") == Morgan(radius=2)


def test_counts_are_the_bits_where_positive():
    counts, bits = encode("ecfp4_count", "CCCCCCCC").features, encode("ecfp4", "CCCCCCCC").features
    assert counts.max() > 1
    np.testing.assert_array_equal(counts > 0, bits > 0)


@pytest.mark.parametrize(
    ("spec", "size"),
    [
        ("ecfp6", 2048),
        ("maccs", 167),
        ("rdkit", 2048),
        ("atompair", 2048),
        ("torsion", 2048),
        ("morgan(size=512)", 512),
    ],
)
def test_sizes(spec, size):
    found = encode(spec, ASPIRIN, "CCO")
    assert found.features.shape == (2, size)
    assert 0 < found.features[0].sum() < size
    assert not found.failed


def test_descriptors_hold_the_molecular_weight():
    from rdkit.Chem import Descriptors

    names = [name for name, _ in Descriptors.descList]
    found = encode("descriptors", ASPIRIN).features[0]
    assert found[names.index("MolWt")] == pytest.approx(180.16, abs=0.01)
    assert found[names.index("HeavyAtomCount")] == 13


def test_descriptors_of_a_long_peptide_stay_finite():
    found = encode("descriptors", "N" + "CC(=O)N" * 30 + "C")
    assert not found.failed
    assert np.isfinite(found.features).all()


def test_a_descriptor_that_is_no_number_names_the_molecule():
    found = encode("descriptors", "CCO", "[Na+].[Cl-]", "[Pt]")
    assert 0 not in found.failed
    assert all("is not a finite number" in reason for reason in found.failed.values())
    assert set(found.failed) | {0} >= {0}
    assert np.isfinite(np.delete(found.features, list(found.failed), axis=0)).all()


def test_every_fingerprint_takes_unusual_molecules():
    for spec in ("ecfp4", "maccs", "rdkit", "atompair", "torsion"):
        units = 40 if spec in ("rdkit", "maccs") else 250  # a peptide of 1,000 atoms, a shorter one where that is slow
        found = encode(spec, "C", "*C", "[Na+].[Cl-]", "N" + "CC(=O)N" * units + "C")
        assert not found.failed
        assert np.isfinite(found.features).all()


def test_impossible_options_are_refused():
    with pytest.raises(InvalidInput, match="size"):
        Morgan(size=3)
    with pytest.raises(InvalidInput, match="unknown option 'radios'. Did you mean 'radius'"):
        EMBEDDERS.build("morgan(radios=3)")


def test_the_description_says_bits_or_counts():
    assert EMBEDDERS.build("ecfp6").describe() == "Morgan fingerprint, radius 3, 2048 bits"
    assert EMBEDDERS.build("atompair(counts=true)").describe() == "atom-pair fingerprint, 2048 counts"
