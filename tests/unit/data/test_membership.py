import numpy as np
import pandas as pd
import pytest

from leaq.data.loading import load
from leaq.data.membership import marked, released_on
from leaq.data.readers import SourceTable
from leaq.data.reading import Reading
from leaq.data.tables import from_arrays
from leaq.errors import InvalidInput, NotEnoughEvidence

READING = Reading(target="y")
FRAME = pd.DataFrame({"a": [1, 2, 2, 3], "b": ["x", "y", "y", "z"], "y": [0, 1, 1, 0]})


def test_each_row_of_the_members_is_one_row_of_the_source():
    table, inside = marked(SourceTable(FRAME), FRAME.iloc[[1, 3]][["y", "b", "a"]], READING)
    assert inside.tolist() == [False, True, False, True]  # of two equal rows the first
    assert len(table.frame) == 4
    _, both = marked(SourceTable(FRAME), FRAME.iloc[[1, 2]], READING)
    assert both.tolist() == [False, True, True, False]


def test_members_that_the_source_lacks_stand_after_it_and_are_said():
    other = pd.DataFrame({"a": [2.0, 9.0], "b": ["y", "new"], "y": [1, 1]})
    table, inside = marked(SourceTable(FRAME), other, READING)
    assert inside.tolist() == [False, True, False, False, True]
    assert table.frame["a"].tolist() == [1, 2, 2, 3, 9]
    (flag,) = table.flags
    assert flag.text == "Of 2 members, 1 are rows of the source; 1 are not, and stand after them, counted from row 5."


def test_a_file_a_mask_and_row_numbers_say_the_same(tmp_path):
    FRAME.iloc[[0, 3]].to_csv(tmp_path / "m.csv", index=False)
    for members in (tmp_path / "m.csv", np.array([True, False, False, True]), [1, 4], np.array([4, 1])):
        assert marked(SourceTable(FRAME), members, READING)[1].tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([0, 2], r"row numbers must lie in 1\.\.4. Found 0\.\.2"),
        (np.array([5]), r"row numbers must lie in 1\.\.4. Found 5"),
        (np.array([True]), r"a mask of its 4 rows.*Found bool of shape \(1,\)"),
        (FRAME[["a", "y"]], "must have the columns of the source. Missing: b"),
    ],
)
def test_what_names_no_rows_is_refused(members, message):
    with pytest.raises(InvalidInput, match=message):
        marked(SourceTable(FRAME), members, READING)


def test_both_sides_need_records_and_one_that_is_on_both_is_flagged(rng):
    samples = from_arrays(rng.normal(size=(60, 3)), np.arange(60) % 2, groups=np.arange(60) // 2)
    with pytest.raises(NotEnoughEvidence, match="at least 20 members. Found 5. Add members"):
        released_on(samples, np.arange(60) < 5)
    with pytest.raises(NotEnoughEvidence, match="at least 20 non-members. Found 10. Name a source"):
        released_on(samples, np.arange(60) < 50)
    assert not [flag for flag in released_on(samples, np.arange(60) < 30).flags if flag.code == "overlap"]
    torn = released_on(samples, np.arange(60) < 31)
    (flag,) = [flag for flag in torn.flags if flag.code == "overlap"]
    assert "1 row (32)" in flag.text
    assert torn.released_on.sum() == 31


@pytest.fixture
def table(rng):
    numbers = pd.DataFrame(rng.normal(size=(120, 3)), columns=list("abc"))
    return numbers.assign(land=rng.choice(["DE", "FR"], 120), row=range(120), y=rng.integers(0, 2, 120))


@pytest.mark.parametrize(
    "saved",
    [
        lambda found, path: found.astype({name: "float32" for name in "abc"}).to_parquet(path.with_suffix(".parquet")),
        lambda found, path: found.to_csv(path, index=False, float_format="%.6g"),
        lambda found, path: found.round(3).to_csv(path, index=False),
        lambda found, path: found.to_csv(path, index=False, sep=";", decimal=","),
        lambda found, path: found.assign(land=found["land"] + " ", row=7).to_csv(path, index=False),
        lambda found, path: found.drop(columns="row").to_csv(path, index=False),
    ],
    ids=["32 bits", "six digits", "rounded", "decimal commas", "blanks, ignored column", "without ignored column"],
)
def test_members_are_found_however_they_were_saved(table, tmp_path, saved):
    saved(table.iloc[40:80], tmp_path / "m.csv")
    found = load(table, target="y", ignore=("row",), members=next(tmp_path.iterdir()))
    assert (len(found), found.ids[found.released_on].tolist()) == (120, list(range(41, 81)))


def test_members_spelled_otherwise_are_refused_and_others_are_new(table, rng):
    with pytest.raises(InvalidInput, match="Of column 'land' the source has 'DE', 'FR', the members 'de', 'fr'"):
        load(table, target="y", ignore=("row",), members=table.iloc[:40].assign(land=table["land"].str.lower()))
    with pytest.raises(InvalidInput, match="Of column 'y' the source has '0', '1', the members 'no', 'yes'"):
        load(table, target="y", ignore=("row",), members=table.iloc[:40].assign(y=table["y"].map({0: "no", 1: "yes"})))
    new = table.iloc[:40].assign(a=rng.normal(size=40).round(2))
    found = load(table, target="y", ignore=("row",), members=new)
    assert found.ids[found.released_on].min() == 121
    assert "must be in the same units" in next(flag.text for flag in found.flags if flag.code == "members")


def test_a_molecule_is_a_member_however_and_how_often_it_is_drawn(rng):
    frame = pd.DataFrame({"smiles": ["C" * n + end for end in "ON" for n in range(1, 41)], "y": rng.normal(size=80)})
    turned = frame.iloc[:30].assign(smiles=[text[::-1] for text in frame["smiles"][:30]], y=frame["y"].round(1))
    every = {"smiles": "smiles", "target": "y"}
    for members in (turned, pd.concat([frame.iloc[:15], turned.iloc[15:]])):
        found = load(frame, **every, members=members)
        assert (len(found), found.ids[found.released_on].tolist()) == (80, list(range(1, 31)))
    twice = pd.concat([frame, turned], ignore_index=True)
    for inside in (twice.index[80:], np.arange(81, 111), np.arange(110) >= 80, twice.iloc[80:]):
        assert load(twice, **every, members=inside).released_on.sum() == 30


def test_masks_of_every_form_and_row_labels(table):
    every = {"target": "y", "ignore": ("row",)}
    for mask in (
        [1] * 40 + [0] * 80,
        np.r_[np.ones(40), np.zeros(80)],
        pd.Series([True] * 40 + [False] * 80, dtype=object),
    ):
        assert load(table, **every, members=mask).ids[:40].tolist() == list(range(1, 41))
        assert load(table, **every, members=mask).released_on.sum() == 40
    labels = table.index[1:41]
    assert load(table, **every, members=labels).ids[load(table, **every, members=labels).released_on][0] == 2
    assert "row-numbers" in [flag.code for flag in load(table, **every, members=np.arange(1, 41)).flags]
    assert "row-numbers" not in [flag.code for flag in load(table, **every, members=np.arange(81, 121)).flags]
    with pytest.raises(InvalidInput, match="Found 1 that it lacks, such as '500'"):
        load(table, **every, members=pd.Index([1, 500]))
    with pytest.raises(InvalidInput, match="same row labels in another order"):
        load(table, **every, members=pd.Series([True] * 40 + [False] * 80, index=table.index[::-1]))
