import numpy as np
import pandas as pd
import pytest

from leaq.data import columns, load, tables
from leaq.data.reading import Reading
from leaq.data.tables import from_arrays, from_frame
from leaq.errors import InvalidInput


def test_arrays_take_groups(rng):
    samples = from_arrays(rng.normal(size=(40, 2)), rng.normal(size=40), groups=np.arange(40) // 4)
    assert len(np.unique(samples.groups)) == 10
    with pytest.raises(InvalidInput, match=r"group must have shape \(40,\)\. Found \(39,\)"):
        from_arrays(rng.normal(size=(40, 2)), rng.normal(size=40), groups=np.arange(39))
    with pytest.raises(InvalidInput, match=r"x must be \(n, d\)"):
        from_arrays(np.arange(40), np.arange(40))


def test_columns_of_measurements_are_looked_at_all_at_once(rng, monkeypatch):
    """One look at a column costs more than the numbers in it: of 20,000 columns these were most of an audit."""
    looks = []
    monkeypatch.setattr(tables, "row_numbers", lambda column: looks.append(column.name))
    monkeypatch.setattr(columns, "_read", lambda column: looks.append(column.name) or (column, ""))
    samples = from_arrays(rng.normal(size=(40, 3000)), np.arange(40) % 2)
    assert samples.inputs.shape == (40, 3000)
    assert len(looks) <= 2  # the target


def test_a_wide_table_names_every_column_that_cannot_be_used(rng):
    frame = pd.DataFrame(rng.normal(size=(40, 300)), columns=[f"f{i}" for i in range(300)]).assign(y=[0, 1] * 20)
    frame.loc[3, "f7"], frame.loc[5, "f250"] = np.nan, np.inf
    frame["f9"] = np.arange(40)
    with pytest.raises(
        InvalidInput, match=r"(?s)'f9' holds row numbers.*'f7' holds .* in 1 row .4.; 'f250' holds .* in 1 row .6."
    ):
        from_frame(frame, Reading(target="y"))
    kept = from_frame(frame.drop(columns="f9"), Reading(target="y", skip_invalid=True))
    assert (len(kept), kept.inputs.shape[1]) == (38, 299)


@pytest.mark.parametrize("skip", [False, True])
def test_a_column_without_any_value_is_named_whether_or_not_rows_may_be_dropped(rng, tmp_path, skip):
    path = tmp_path / "hollow.csv"
    table = pd.DataFrame({"a": rng.normal(size=40), "void": [None] * 40, "y": [0, 1] * 20})
    table.to_csv(path, index=False)
    with pytest.raises(InvalidInput, match=r"'void' holds no value in any row\. Leave columns out with --ignore void"):
        load(str(path), target="y", skip_invalid=skip)
    assert len(load(str(path), target="y", ignore=("void",))) == 40


@pytest.mark.parametrize("skip", [False, True])
def test_a_target_without_any_label_is_said_to_be_one(rng, tmp_path, skip):
    path = tmp_path / "unlabelled.csv"
    pd.DataFrame({"a": rng.normal(size=40), "y": [None] * 40}).to_csv(path, index=False)
    with pytest.raises(InvalidInput, match=r"a target needs labels\. Found none in column 'y'"):
        load(str(path), target="y", skip_invalid=skip)


@pytest.mark.parametrize("values", [1e9 + np.arange(40) / 1000, np.arange(40) * 1e-300])
def test_what_32_bits_round_away_is_refused(rng, values):
    """Models compute in 32 bits: such a target was predicted by a constant, and every attack found exactly nothing."""
    frame = pd.DataFrame({"a": rng.normal(size=40), "t": values[rng.permutation(40)], "y": np.arange(40) % 2})
    with pytest.raises(InvalidInput, match=r"Found columns 't' around .* Subtract a constant, or change the unit"):
        from_frame(frame, Reading(target="y"))
    with pytest.raises(InvalidInput, match="the target 't' must vary by more than 32-bit numbers round away"):
        from_frame(frame, Reading(target="t"))
    for fine in (1.7e9 + 86400.0 * rng.integers(0, 300, 40), 1e6 + (np.arange(40) == 3), np.full(40, 0.1)):
        assert from_frame(frame.assign(t=fine), Reading(target="y")).inputs.shape == (40, 2)


def test_equal_records_with_different_targets_are_counted(rng):
    frame = pd.DataFrame({"a": rng.normal(size=60), "y": np.arange(60) % 2})
    other = frame.head(7).assign(y=1 - frame["y"].head(7))
    twice = pd.concat([frame, other, frame.tail(3)], ignore_index=True)
    flag = next(one for one in from_frame(twice, Reading(target="y")).flags if one.code == "duplicates")
    assert "10 of 70 records repeat the features of another (14 records that are equal so have different" in flag.text


@pytest.mark.parametrize("spell", ["{:.1f}%", "${:.2f}", "{:.1f} mg", "{:.2f}±0.1", "2020-01-31 {:.2f}"])
def test_numbers_with_something_beside_them_are_no_texts_to_leave_out(rng, spell):
    frame = pd.DataFrame({"a": rng.normal(size=200), "p": [spell.format(v) for v in rng.uniform(0, 100, 200)]})
    frame["y"] = (frame["a"] > 0).astype(int)
    with pytest.raises(InvalidInput, match="'p' holds .* different numbers with something beside them.* Take out what"):
        from_frame(frame, Reading(target="y"))


@pytest.mark.parametrize("other", [
    lambda y: y, lambda y: -y, lambda y: np.where(y > 0, "ill", "well"), lambda y: y.astype(bool)
])  # fmt: skip
def test_columns_that_hold_the_class_in_other_words_are_doubted(rng, other):
    y = rng.integers(0, 2, 60)
    frame = pd.DataFrame({"a": rng.normal(size=60), "b": y ^ (np.arange(60) == 7), "other": other(y), "y": y})
    (flag,) = [one for one in from_frame(frame, Reading(target="y")).flags if one.code == "target-copies"]
    assert "in other words, value by value: 'other'." in flag.text


def test_columns_that_hold_a_measurement_in_other_words_are_doubted(rng):
    y = rng.uniform(1, 2, 60)
    frame = pd.DataFrame({"a": rng.normal(size=60), "near": y + 1e-1 * rng.normal(size=60), "log": np.log(y), "y": y})
    (flag,) = [one for one in from_frame(frame, Reading(target="y")).flags if one.code == "target-copies"]
    assert "in other words, value by value: 'log'." in flag.text
    frame["z"], frame["y"] = rng.normal(size=60), frame["y"].mask(np.arange(60) < 5)
    flags = from_frame(frame, Reading(target=("y", "z"))).flags
    assert any(flag.code == "target-copies" for flag in flags)  # of one of several, holes aside


def test_records_that_are_equal_in_32_bits_are_one(rng):
    """Models compute in 32 bits: on either side of a split they would be one record, in and out of training."""
    frame = pd.DataFrame(rng.normal(size=(60, 3)), columns=list("abc")).assign(y=np.arange(60) % 2)
    single = frame.iloc[:25].astype(dict.fromkeys("abc", "float32")).astype(dict.fromkeys("abc", float))
    found = load(pd.concat([frame, single]), target="y")
    assert len(np.unique(found.groups)) == 60
    assert found.groups[60:].tolist() == found.groups[:25].tolist()


def test_categories_that_only_their_spelling_tells_apart_are_doubted(rng):
    frame = pd.DataFrame({"a": rng.normal(size=60), "colour": ["Red", "red ", "blue"] * 20, "y": np.arange(60) % 2})
    found = load(frame, target="y")
    assert "Categories of 'colour'" in next(flag.text for flag in found.flags if flag.code == "alike-classes")
