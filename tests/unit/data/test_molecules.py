import numpy as np
import pandas as pd
import pytest

from leaq.data import chemistry, load
from leaq.data.molecules import canonical_smiles, from_smiles
from leaq.data.reading import Reading
from leaq.errors import InvalidInput, NotEnoughEvidence
from tests.helpers import require

require_rdkit = pytest.fixture(autouse=True)(lambda: require("rdkit"))
CHAINS = ["C" * (i + 1) + "O" for i in range(30)]


def build(smiles, targets=None, **options):
    targets = np.linspace(0, 1, len(smiles)) if targets is None else targets
    return from_smiles(pd.Series(smiles), pd.Series(targets, name="y"), reading=Reading(**options), name="set")


def text_of(samples, code):
    return next(flag.text for flag in samples.flags if flag.code == code)


def test_one_molecule_has_one_form():
    assert canonical_smiles(["OCC", "C(O)C", "[CH3][CH2][OH]"]) == ["CCO"] * 3


def test_what_is_no_molecule_has_none():
    assert canonical_smiles(["", "C1CC", "xyz", "C(C)(C)(C)(C)C"]) == [None] * 4


def test_unusual_molecules_are_read():
    """No bonds, a metal, a dummy atom, a peptide of 1,000 atoms."""
    peptide = "N" + "CC(=O)N" * 250 + "C"
    assert None not in canonical_smiles(["C", "[Na+].[Cl-]", "[Pt]", "*C", peptide])


def test_unreadable_smiles_are_refused_by_row():
    with pytest.raises(
        InvalidInput, match=r"set: SMILES that cannot be read in 2 rows \(3, 5\)\. Correct them, or drop"
    ):
        build([*CHAINS[:2], "x", *CHAINS[2:3], "", *CHAINS[3:]])


def test_skipped_rows_are_counted_and_keep_their_numbers():
    samples = build([*CHAINS[:2], "x", *CHAINS[2:]], skip_invalid=True)
    assert len(samples) == 30
    assert samples.ids[:3].tolist() == [1, 2, 4]
    assert text_of(samples, "dropped-rows") == "SMILES that cannot be read in 1 row (3): dropped."


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_missing_target_is_refused_by_row(value):
    targets = np.linspace(0, 1, 30)
    targets[4] = value
    with pytest.raises(InvalidInput, match=r"a missing or infinite target in 1 row \(5\)"):
        build(CHAINS, targets)


def test_the_wrong_column_is_told():
    with pytest.raises(InvalidInput, match="no molecule is left. Check that --smiles names the right column"):
        build([f"row {i}" for i in range(30)], skip_invalid=True)


def test_values_of_one_molecule_are_averaged():
    samples = build([*CHAINS, "OC"], np.r_[np.linspace(0, 1, 30), 3.0])
    assert len(samples) == 30
    assert samples.targets[0] == pytest.approx(1.5)
    assert "1 record repeated a molecule" in text_of(samples, "merged-duplicates")
    assert "1 molecule had several values" in text_of(samples, "averaged-labels")


def test_contradicting_classes_are_dropped_and_agreeing_ones_merged():
    labels = np.arange(30) % 2
    samples = build([*CHAINS, "OC", "OCC"], np.r_[labels, 1, 1])
    assert len(samples) == 29
    assert "CO" not in samples.inputs
    assert "CCO" in samples.inputs
    assert text_of(samples, "conflicting-labels").startswith("1 molecule with contradicting labels")


def test_more_than_half_repeats_are_refused():
    with pytest.raises(InvalidInput, match=r"more than half of the records repeat a molecule \(40 of 60\)"):
        build(CHAINS[:20] * 3)


def test_too_few_molecules_are_refused():
    with pytest.raises(NotEnoughEvidence, match=r"at least 20 molecules\. Found 19"):
        build(CHAINS[:19])


def test_salts_are_told_or_stripped():
    salts = [*CHAINS[:28], "CC(=O)[O-].[Na+]", "CCCC(=O)[O-].[K+]"]
    kept = build(salts)
    assert "2 salts or mixtures used as given" in text_of(kept, "salts")
    stripped = build(salts, strip_salts=True)
    assert stripped.inputs[28:].tolist() == ["CC(=O)[O-]", "CCCC(=O)[O-]"]
    assert "2 molecules were reduced" in text_of(stripped, "stripped-salts")


def test_salts_of_one_molecule_merge_when_stripped():
    samples = build([*CHAINS, "CO.Cl"], strip_salts=True)
    assert len(samples) == 30
    assert "1 record repeated a molecule" in text_of(samples, "merged-duplicates")


def test_a_molecule_in_two_groups_joins_them():
    groups = pd.Series([i // 5 for i in range(30)] + [5])
    samples = from_smiles(
        pd.Series([*CHAINS, "OC"]), pd.Series(np.linspace(0, 1, 31), name="y"), groups=groups, name="set"
    )
    assert len(np.unique(samples.groups)) == 5
    assert samples.groups[0] == samples.groups[29]


def test_a_log_target_changes_the_unit():
    samples = from_smiles(
        pd.Series(CHAINS), pd.Series(np.logspace(0, 3, 30), name="y"), unit="h", reading=Reading(log_target=True)
    )
    assert samples.unit == "log10 h"
    np.testing.assert_allclose(samples.targets, np.linspace(0, 3, 30))


def test_a_scaffold_split_is_marked_loudly():
    rings = [
        f"{'C' * (i % 5 + 1)}{ring}"
        for ring in ("c1ccccc1", "C1CCCCC1", "c1ccncc1", "C1CCNCC1", "c1ccoc1", "c1ccsc1")
        for i in range(5)
    ]
    samples = build(rings, split="scaffold")
    assert len(np.unique(samples.groups)) == 6
    assert "6 scaffolds" in text_of(samples, "scaffold-split")
    assert "Do not compare" in text_of(samples, "scaffold-split")
    assert "scaffold-split" not in [flag.code for flag in build(rings).flags]


def test_a_split_into_too_few_scaffolds_is_refused():
    with pytest.raises(InvalidInput, match=r"a scaffold split needs several scaffolds.*Use a random split"):
        build([f"{'C' * i}c1ccccc1" for i in range(30)], split="scaffold")


@pytest.mark.parametrize(("one", "other"), [
    ("CS(=O)C", "C[S+]([O-])C"), ("[CH3:1][OH:2]", "CO"), ("[H]OC", "CO"), ("CN=[N+]=[N-]", "C[N-][N+]#N"),
    ("NC(=[NH2+])NC", "[NH2+]=C(N)NC"), ("C[S@](=O)CC", "C[S@+]([O-])CC"), ("c1ccc[n+]([O-])c1", "O=n1ccccc1"),
])  # fmt: skip
def test_drawings_of_one_molecule_are_merged(one, other):
    smiles = [one, other, *("C" * i for i in range(2, 26))]
    samples = from_smiles(pd.Series(smiles), pd.Series(np.arange(26.0) / 7))
    assert len(samples) == 25
    assert "merged-duplicates" in {flag.code for flag in samples.flags}
    assert ":" not in samples.inputs[0]


@pytest.mark.parametrize(("one", "other"), [
    ("CC(=O)C", "CC(O)=C"), ("C[C@H](O)F", "C[C@@H](O)F"), ("F/C=C/F", "F/C=C\\F"), ("CC#N", "CCN"),
    ("CC(C)=O", "CC(C)O"), ("[13CH4]", "C"), ("C[O-]", "CO"),
])  # fmt: skip
def test_different_molecules_are_not(one, other):
    first, second = chemistry.parsed_molecules([one, other])
    assert first.key != second.key


def test_a_target_with_words_in_it_is_named():
    smiles = pd.Series(["C" * i for i in range(1, 31)])
    values = pd.Series([*(f"{i / 7:.2f}" for i in range(29)), ">10"], name="ic50")
    with pytest.raises(InvalidInput, match=r"'ic50' holds numbers but for 1 row \(30\): '>10'"):
        from_smiles(smiles, values)
    assert len(from_smiles(smiles, values, reading=Reading(skip_invalid=True))) == 29
    assert from_smiles(smiles, values[:29].str.replace(".", ",").reindex(range(30)).fillna("0,5")).task == "regression"


def test_reactions_are_refused_by_what_they_are():
    with pytest.raises(InvalidInput, match="must be one molecule. Found 2 reactions, such as A>>B. Name a column"):
        build(["CC>>CO", "C>O>CO", *CHAINS])
    assert len(build(["N->[Pt]<-N", "N->[Cu]", "N->[Pt](Cl)(Cl)<-N", *CHAINS])) == 33  # dative bonds are none


def test_inchi_are_called_by_their_name():
    with pytest.raises(InvalidInput, match=r"must be given as SMILES. Found 1 InChI.*Chem.MolFromInchi"):
        build(["InChI=1S/CH4O/c1-2/h2H,1H3", *CHAINS])
    assert len(build(["InChI=1S/CH4O/c1-2/h2H,1H3", *CHAINS], skip_invalid=True)) == 30


def test_molecules_of_rdkit_are_molecules():
    from rdkit import Chem

    texts = ["C" * n + "O" for n in range(1, 31)]
    drawn = [Chem.MolFromSmiles(text) for text in texts]
    y = np.arange(30) / 7
    assert load((drawn, y)).inputs.tolist() == load((texts, y)).inputs.tolist()
