import numpy as np
import pandas as pd
import pytest

from leaq.data import load
from leaq.data.splits import halves, joined_groups, neighbour_agreement
from leaq.data.tables import from_arrays
from leaq.errors import InvalidInput
from leaq.types import Samples
from tests.helpers import require


@pytest.fixture
def samples(rng):
    return from_arrays(rng.normal(size=(60, 2)), np.arange(60) % 3)


@pytest.fixture
def grouped(rng):
    sizes = [25, 9, 8, 7, 5, 3, 2, 1] * 2
    groups = np.repeat(np.arange(len(sizes)), sizes)
    return from_arrays(rng.normal(size=(len(groups), 2)), rng.normal(size=len(groups)), groups=groups)


def test_every_record_trains_half_of_the_models(samples):
    members = halves(samples, 6, seed=1)
    assert members.sum(0).tolist() == [3] * 60
    np.testing.assert_array_equal(members[::2], ~members[1::2])


def test_halves_hold_every_class_equally(samples):
    members = halves(samples, 8, seed=1)
    for code in range(3):
        assert set(members[:, samples.targets == code].sum(1).tolist()) == {10}


def test_adding_models_changes_no_earlier_one(samples):
    np.testing.assert_array_equal(halves(samples, 4, seed=5), halves(samples, 9, seed=5)[:4])
    assert not np.array_equal(halves(samples, 4, seed=5), halves(samples, 4, seed=6))


def test_groups_are_never_torn_apart(grouped):
    members = halves(grouped, 12, seed=0)
    for group in np.unique(grouped.groups):
        inside = members[:, grouped.groups == group]
        assert (inside.all(1) | ~inside.any(1)).all()


def test_uneven_groups_make_nearly_equal_halves(grouped):
    counts = halves(grouped, 20, seed=0).sum(1)
    assert np.abs(counts - len(grouped) / 2).max() <= 1


def test_large_groups_are_on_either_side(grouped):
    first = halves(grouped, 60, seed=0)[::2]
    largest = grouped.groups == np.bincount(grouped.groups).argmax()
    assert 5 < first[:, largest].all(1).sum() < 25


def test_one_model_is_too_few(samples):
    with pytest.raises(InvalidInput, match="at least 2 models. Found 1"):
        halves(samples, 1, seed=0)


def test_chemistry_tells_nothing_about_a_random_split_and_much_about_a_scaffold_split():
    require("rdkit")
    rings = ("c1ccccc1", "C1CCCCC1", "c1ccncc1", "C1CCNCC1", "c1ccoc1", "c1ccsc1", "c1cc[nH]c1", "C1CCOCC1")
    smiles = np.array([f"{'C' * (i + 1)}{ring}" for ring in rings for i in range(8)])
    loose = Samples(inputs=smiles, targets=np.arange(64) / 7, task="regression")
    tied = Samples(inputs=smiles, targets=loose.targets, task="regression", groups=np.repeat(np.arange(8), 8))
    assert abs(neighbour_agreement(loose) - 0.5) < 0.1
    assert neighbour_agreement(tied) > 0.8


def test_joined_keeps_what_either_keeps():
    assert joined_groups(np.array([0, 1, 2, 3]), np.array([5, 5, 6, 7])).tolist() == [0, 0, 1, 2]
    assert joined_groups(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2])).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "name",
    [
        lambda at: pd.Timestamp("2020-01-01") + pd.Timedelta(days=at),
        lambda at: 10**17 + at,
        lambda at: str(10**17 + at),
        lambda at: (at, "a"),
    ],
)
def test_whatever_can_be_equal_names_a_group(name, rng):
    """Dates and large numbers were refused as features, which a group is not."""
    table = pd.DataFrame({"a": rng.normal(size=40), "g": [name(at // 4) for at in range(40)], "y": np.arange(40) % 2})
    groups = load(table, target="y", group="g").groups
    assert pd.factorize(groups)[0].tolist() == [at // 4 for at in range(40)]


def test_molecules_of_no_group_are_refused_and_blanks_make_no_other():
    """All molecules of no group were one group; of one name with a blank and without it there were two."""
    require("rdkit")
    smiles = ["C" * (at + 1) + "O" for at in range(40)]
    table = pd.DataFrame({"smiles": smiles, "g": [f"s{at // 4}" for at in range(40)], "y": np.arange(40) / 7})
    options = {"target": "y", "smiles": "smiles", "group": "g"}
    spelled = table.assign(g=[f"s{at // 4}{' ' * (at % 2)}" for at in range(40)])
    assert load(spelled, **options).groups.tolist() == load(table, **options).groups.tolist()
    with pytest.raises(InvalidInput, match=r"every record must belong to a group. Found none in 2 rows \(1, 2\)"):
        load(table.assign(g=[None, " ", *table["g"][2:]]), **options)
