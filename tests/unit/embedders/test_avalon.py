import numpy as np
import pytest

from leaq.embedders import EMBEDDERS
from leaq.embedders.avalon import Avalon
from tests.helpers import require

SMILES = ["CCO", "c1ccccc1", "CC(=O)Oc1ccccc1C(=O)O"]


@pytest.fixture(autouse=True)
def library():
    require("rdkit")


@pytest.mark.parametrize("counts", [False, True])
def test_features_are_those_of_the_toolkit(counts):
    from rdkit import Chem
    from rdkit.Avalon import pyAvalonTools

    found = Avalon(size=512, counts=counts).encode(SMILES).features
    compute = pyAvalonTools.GetAvalonCountFP if counts else pyAvalonTools.GetAvalonFP
    for row, text in zip(found, SMILES, strict=True):
        whole = compute(Chem.MolFromSmiles(text), nBits=512)
        held = whole.GetNonzeroElements() if counts else dict.fromkeys(whole.GetOnBits(), 1)
        assert {int(i): int(row[i]) for i in np.flatnonzero(row)} == held


def test_it_goes_by_its_name_with_its_options():
    assert EMBEDDERS.build("avalon(size=256, counts=true)") == Avalon(size=256, counts=True)
    assert Avalon().describe() == "Avalon fingerprint, 1024 bits"
    assert set(Avalon().encode(["CCO", "no molecule"]).failed) == {1}
