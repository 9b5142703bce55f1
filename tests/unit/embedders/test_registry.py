from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pytest

from leaq.data import from_arrays
from leaq.embedders import EMBEDDERS, embed, entries
from leaq.embedders.base import Encoded, MoleculeEmbedder
from leaq.errors import InvalidInput, NotEnoughEvidence, UnknownName
from leaq.types import Samples
from tests.helpers import require


class Lengths(MoleculeEmbedder):
    """The length of a SMILES; cannot encode nitrogen."""

    cost: ClassVar[float] = 0.0

    def encode(self, smiles: Sequence[str], *, progress=None):
        failed = {i: "it has nitrogen" for i, text in enumerate(smiles) if "N" in text}
        return Encoded(np.array([[len(text)] for text in smiles]), failed)

    def describe(self):
        return "lengths"

    def fingerprint_of_code(self):
        return ""


def molecules(smiles, targets=None):
    targets = np.arange(len(smiles)) % 2 if targets is None else np.array(targets)
    return Samples(
        inputs=np.array(smiles), targets=targets, task="classification", classes=("no", "yes"),
        ids=np.arange(len(smiles)) + 101,
    )  # fmt: skip


CHAINS = ["C" * (i + 1) for i in range(30)]


def test_auto_fits_the_records(rng):
    require("rdkit")
    assert embed(from_arrays(rng.normal(size=(30, 3)), np.arange(30) / 7)).inputs.shape == (30, 3)
    assert embed(molecules(CHAINS)).inputs.shape == (30, 2048)


def test_molecules_that_cannot_be_encoded_are_refused_by_row_and_reason():
    with pytest.raises(
        InvalidInput, match=r"lengths.*2 of 32.*\(it has nitrogen: 2 rows \(131, 132\)\).*--skip-invalid"
    ):
        embed(molecules([*CHAINS, "CN", "CCN"]), Lengths())


def test_skipped_molecules_are_counted_by_row_and_the_others_keep_theirs():
    samples = embed(molecules(["NC", *CHAINS]), Lengths(), skip_invalid=True)
    assert len(samples) == 30
    assert samples.ids[0] == 102
    assert samples.inputs[:, 0].tolist() == list(range(1, 31))
    assert samples.inputs.dtype == np.float32
    assert samples.flags[-1].code == "dropped-molecules"
    assert "it has nitrogen: 1 row (101)" in samples.flags[-1].text


def test_too_few_encodable_molecules_are_refused():
    with pytest.raises(NotEnoughEvidence, match=r"can encode 15 of 30"):
        embed(molecules(CHAINS[:15] + [f"{text}N" for text in CHAINS[:15]]), Lengths(), skip_invalid=True)
    with pytest.raises(NotEnoughEvidence, match=r"Too few are left of yes"):
        embed(molecules([*CHAINS, "CN"], [0] * 29 + [1, 1]), Lengths(), skip_invalid=True)


def test_a_table_is_no_molecule(rng):
    with pytest.raises(InvalidInput, match="needs molecules. Found a table of numbers"):
        embed(from_arrays(rng.normal(size=(30, 3)), np.arange(30) / 7), "ecfp4")


def test_molecules_are_no_table():
    with pytest.raises(InvalidInput, match="The identity embedder needs numbers"):
        embed(molecules(CHAINS), "identity")


def test_an_unknown_name_names_the_closest():
    with pytest.raises(UnknownName, match=r"Unknown embedder 'ecfp5'.*Did you mean"):
        embed(molecules(CHAINS), "ecfp5")


def test_any_object_with_transform_works_and_its_shape_is_checked(rng):
    class Wrong:
        def transform(self, _):
            return np.zeros((3, 2))

    class Right:
        def transform(self, samples):
            return np.asarray(samples.inputs) * 2

    samples = from_arrays(rng.normal(size=(30, 3)), np.arange(30) / 7)
    np.testing.assert_allclose(embed(samples, Right()).inputs, samples.inputs * 2, rtol=1e-6)
    with pytest.raises(InvalidInput, match=r"must return \(30, d\) features. Found shape \(3, 2\)"):
        embed(samples, Wrong())


def test_the_listing_covers_every_name_and_every_kind():
    cards = entries()
    assert [card.name for card in cards] == list(EMBEDDERS)
    assert {card.family for card in cards} >= {"fingerprint", "descriptors", "graph network", "SMILES network"}
    assert all(card.licence and card.source for card in cards)


def test_weights_that_saw_labels_are_flagged(monkeypatch):
    embedder = EMBEDDERS.build("graphsage_supervised_contextpred")
    (flag,) = embedder.flags()
    assert flag.code == "pretrained-on-labels"
    assert "may have seen this task's answers" in flag.text
    assert EMBEDDERS.build("graphsage_contextpred").flags() == ()


class Learned(Lengths):
    """As a network embeds: all molecules alike but one, far out in every unit."""

    learned: ClassVar[bool] = True

    def encode(self, smiles: Sequence[str], *, progress=None):
        cloud = np.random.default_rng(0).normal(size=(len(smiles), 6))
        cloud[3] *= 5.0
        cloud[4] = 1e4
        return Encoded(cloud, {})


def test_an_embedding_far_from_all_others_is_clipped_and_a_column_is_not():
    require("rdkit")
    learned = embed(molecules(CHAINS), Learned())
    assert [flag.code for flag in learned.flags] == ["limited-outliers", "clipped-embeddings"]
    assert "1 embeddings lie" in learned.flags[1].text
    assert "in most columns" not in learned.flags[0].text

    class Columns(Learned):
        learned: ClassVar[bool] = False

    columns = embed(molecules(CHAINS), Columns())
    assert [flag.code for flag in columns.flags] == ["limited-outliers"]
    assert "in most columns" in columns.flags[0].text
    assert (np.delete(learned.inputs, 4, axis=0) == np.delete(columns.inputs, 4, axis=0)).all()
    assert np.abs(learned.inputs[4]).max() < np.abs(columns.inputs[4]).max()
