import numpy as np
import pytest

from leaq.data import load
from leaq.embedders import embed
from leaq.embedders.tokens import SYMBOLS, VOCABULARY, SmilesTokens
from leaq.errors import InvalidInput
from tests.helpers import require

SMILES = [f"{'C' * (i // 3 + 1)}{('O', 'N', 'Cl')[i % 3]}" for i in range(30)]


def test_rows_spell_the_molecule_between_start_and_end():
    require("rdkit")
    samples = load((np.array(SMILES), np.arange(30) / 7))
    rows = embed(samples, "smiles_tokens(length=16)").inputs
    for text, row in zip(samples.inputs, rows.astype(int), strict=True):
        told = row[row > 0]
        assert (told[0], told[-1]) == (1, 2)
        assert "".join(SYMBOLS[number - 3] for number in told[1:-1]) == text
    assert rows.max() < VOCABULARY


def test_what_does_not_fit_is_refused_by_row_or_dropped():
    require("rdkit")
    samples = load((np.array(SMILES), np.arange(30) / 7))
    with pytest.raises(InvalidInput, match="it has more than 8 symbols: 9 rows"):
        embed(samples, "smiles_tokens(length=10)")
    assert len(embed(samples, "smiles_tokens(length=10)", skip_invalid=True)) == 21
    assert SmilesTokens(length=9).encode(["C", "no molecule"]).failed == {1: "RDKit cannot read it"}
