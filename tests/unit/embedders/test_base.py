from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest

from leaq.data.tables import from_arrays
from leaq.embedders.base import EmbedderEntry, Encoded, MoleculeEmbedder, molecules_of, read_molecules, reasons, refusal
from leaq.errors import InvalidInput
from leaq.types import Samples
from tests.helpers import require


class Lengths(MoleculeEmbedder):
    """The number of letters; molecules of more than four have none."""

    step: int = 1

    def encode(self, smiles: Sequence[str], *, progress=None):
        long = {i: "it is long" for i, text in enumerate(smiles) if len(text) > 4}
        return Encoded(np.array([[self.step * len(text)] for text in smiles]), long)

    def describe(self):
        return "lengths"


def molecules(*smiles):
    return Samples(np.array(smiles), np.arange(len(smiles)) / 7, "regression", ids=10 + np.arange(len(smiles)))


def test_features_are_those_of_the_molecules_as_float32():
    found = Lengths(step=2).transform(molecules("C", "CCO"))
    assert (found.dtype, found.tolist()) == (np.float32, [[2], [6]])


def test_molecules_without_features_are_named_by_row_and_reason():
    with pytest.raises(InvalidInput, match=r"lengths: every molecule must be encodable. Found 2 of 3 that are not"):
        Lengths().transform(molecules("CCCCC", "C", "CCCCCC"))
    text = reasons({2: "long", 0: "odd", 1: "long"}, molecules("a", "b", "c"))
    assert text == "odd: 1 row (10); long: 2 rows (11, 12)"
    assert "drop them with --skip-invalid" in str(refusal("x", {0: "odd"}, molecules("a")))


def test_a_table_holds_no_molecules(rng):
    with pytest.raises(InvalidInput, match="lengths needs molecules. Found a table of numbers; name its SMILES column"):
        molecules_of(from_arrays(rng.normal(size=(20, 2)), np.arange(20) % 2), "lengths")


def test_a_card_builds_what_it_speaks_of():
    card = EmbedderEntry("twice", partial(Lengths, step=2), 1, "smiles", "toy", "letters", "here", "none")
    assert card() == Lengths(step=2)
    assert "make" not in repr(card)


def test_what_rdkit_cannot_read_and_what_is_empty_have_a_reason():
    require("rdkit")
    found, failed = read_molecules(["CCO", "no molecule", ""])
    assert [molecule is None for molecule in found] == [False, True, True]
    assert set(failed) == {1, 2}
