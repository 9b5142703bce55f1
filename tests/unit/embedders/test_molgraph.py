"""Packed graphs: features by hand, rows that are codes and not columns, and who may read them."""

from dataclasses import replace

import numpy as np
import pytest

from leaq.data import load
from leaq.data.splits import halves
from leaq.embedders import EMBEDDERS, embed
from leaq.errors import InvalidInput
from leaq.models.nets import dmpnn
from leaq.models.nets.layout import COUNTS, SLOT
from leaq.training import TrainingConfig, train, train_modules
from tests.helpers import require


@pytest.fixture
def molecules(tmp_path):
    require("rdkit")
    path = tmp_path / "alkanes.csv"
    rows = [f"{'C' * n}{tail},{n + 0.1 * len(tail)}" for n in range(1, 13) for tail in ("O", "N", "Cl")]
    path.write_text("smiles,y\n" + "\n".join(rows) + "\nc1ccccc1O,9\n")
    return load(str(path), smiles="smiles", target="y")


def test_features_of_formaldehyde_by_hand():
    require("rdkit")
    (row,) = EMBEDDERS.build("molgraph").encode(["C=O"]).features
    assert row[:COUNTS].tolist() == [2, 2]
    carbon, oxygen, first, second = row[COUNTS:].reshape(-1, SLOT)
    # element, degree (with hydrogens), charge 0, no chirality, hydrogens, sp2, not aromatic
    assert carbon[:7].tolist() == [5, 38 + 3, 45 + 4, 51 + 0, 56 + 2, 62 + 2, -1]
    assert oxygen[:7].tolist() == [7, 38 + 1, 45 + 4, 51 + 0, 56 + 0, 62 + 2, -1]
    np.testing.assert_allclose([carbon[7], oxygen[7]], [0.12011, 0.15999], rtol=1e-6)
    assert first.tolist() == [1, 0, 1, 2, -1, -1, 7, 0]  # double, not conjugated, no ring, no stereo
    assert second.tolist() == [0, 1, 0, 2, -1, -1, 7, 0]


def test_rows_are_neither_limited_nor_scaled(molecules):
    samples = embed(molecules, "molgraph")
    raw = EMBEDDERS.build("molgraph").encode(molecules.inputs.tolist()).features
    assert np.array_equal(samples.inputs, raw)
    assert [flag.code for flag in samples.flags if flag.code in ("packed-graphs", "limited-outliers")] == [
        "packed-graphs"
    ]
    members = halves(samples, 2, seed=0)
    with pytest.raises(InvalidInput, match="perceptron reads columns of features. Found packed molecular graphs. Tr"):
        train(samples, members, TrainingConfig(epochs=1), seed=0)


def test_targets_are_scaled_for_a_network_and_graphs_are_not(molecules):
    samples = embed(molecules, "molgraph")
    far = replace(samples, targets=samples.targets * 1e4 - 1e6)
    config = TrainingConfig(epochs=2, checkpoints=1, standardise="pool")
    model, checkpoints = train_modules(dmpnn, far, halves(far, 2, seed=0), config, seed=0)
    assert model.note is None
    params = checkpoints.last().params
    np.testing.assert_allclose(params["output_mean"][:, 0], far.targets.mean(), rtol=1e-6)
    np.testing.assert_allclose(params["output_scale"][:, 0], far.targets.std(), rtol=1e-6)
    assert not any(name.startswith("input") for name in params)
