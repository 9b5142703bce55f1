import numpy as np
import pandas as pd
import pytest

from leaq.data.reading import Reading
from leaq.data.tables import from_frame
from leaq.errors import InvalidInput


@pytest.fixture
def frame(rng):
    return pd.DataFrame({"a": rng.normal(size=40), "y": rng.normal(size=40)})


def codes(samples):
    return [flag.code for flag in samples.flags]


def test_text_becomes_a_category(frame):
    samples = from_frame(frame.assign(colour=["red", "blue"] * 20), Reading(target="y"))
    assert samples.features[1].levels == ("blue", "red")
    assert samples.inputs[:2, 1].tolist() == [1.0, 0.0]


def test_text_with_too_many_levels_is_refused(frame):
    with pytest.raises(
        InvalidInput, match=r"'note' holds 40 different texts in 40 records.*--ignore note, or .* with --smiles"
    ):
        from_frame(frame.assign(note=[f"n{i}" for i in range(40)]), Reading(target="y"))


def test_ignored_columns_are_gone_and_must_exist(frame):
    samples = from_frame(frame.assign(note=[f"n{i}" for i in range(40)]), Reading(target="y", ignore=("note",)))
    assert samples.inputs.shape == (40, 1)
    with pytest.raises(InvalidInput, match=r"no column 'nope' \(--ignore\)"):
        from_frame(frame, Reading(target="y", ignore=("nope",)))


def test_a_table_without_features_is_refused(frame):
    with pytest.raises(InvalidInput, match="must be a feature column beside the target"):
        from_frame(frame[["y"]], Reading(target="y"))


def test_duplicates_share_a_group_and_are_counted(frame):
    frame.loc[1, "a"] = frame.loc[0, "a"]
    samples = from_frame(frame, Reading(target="y"))
    assert samples.groups[0] == samples.groups[1]
    assert len(np.unique(samples.groups)) == 39
    assert codes(samples) == ["duplicates"]


def test_a_duplicate_in_two_groups_joins_them(frame):
    frame.loc[10, "a"] = frame.loc[0, "a"]
    samples = from_frame(frame.assign(g=np.arange(40) // 5), Reading(target="y", group="g"))
    assert len(np.unique(samples.groups)) == 7
    assert len(np.unique(samples.groups[[0, 4, 10, 14]])) == 1


def test_a_class_in_one_group_only_is_refused(frame):
    y = np.r_[np.ones(5), np.zeros(35)].astype(int)
    with pytest.raises(InvalidInput, match=r"Class '1' has 1"):
        from_frame(frame.assign(y=y, g=np.arange(40) // 5), Reading(target="y", group="g"))


def test_a_heavy_tail_is_told_and_logarithms_help(frame):
    values = np.exp(np.linspace(-3, 6, 40))
    samples = from_frame(frame.assign(y=values), Reading(target="y"))
    assert codes(samples) == ["heavy-tail"]
    assert "Consider --log-target" in samples.flags[0].text
    logged = from_frame(frame.assign(y=values), Reading(target="y", log_target=True))
    np.testing.assert_allclose(logged.targets, np.log10(values))
    assert logged.unit == "log10"
    assert codes(logged) == []


def test_a_plain_target_gets_no_suggestion(frame):
    assert codes(from_frame(frame.assign(y=np.linspace(1, 2, 40)), Reading(target="y"))) == []


def test_logarithms_need_positive_values(frame):
    y = np.linspace(0.5, 9.3, 40)
    y[[2, 7]] = [0, -1]
    with pytest.raises(
        InvalidInput, match=r"a log target must be positive. Found values of 0 or below in 2 rows \(3, 8"
    ):
        from_frame(frame.assign(y=y), Reading(target="y", log_target=True))
    with pytest.raises(InvalidInput, match="only a regression target has logarithms"):
        from_frame(frame.assign(y=["a", "b"] * 20), Reading(target="y", log_target=True))


def test_text_cannot_be_regressed_on(frame):
    with pytest.raises(InvalidInput, match="a regression target must be numbers. Column 'y' holds text"):
        from_frame(frame.assign(y=["a", "b"] * 20), Reading(target="y", task="regression"))


def test_too_many_classes_are_refused(frame):
    with pytest.raises(InvalidInput, match="40 classes in 40 records are too many"):
        from_frame(frame.assign(y=[f"c{i}" for i in range(40)]), Reading(target="y"))


def test_everything_that_cannot_be_used_is_named_at_once(frame):
    table = frame.assign(
        patient=np.arange(40) + 7000,
        note=[f"n{i}" for i in range(40)],
        visit=pd.date_range("2026-01-01", periods=40),
        weight=[*(f"{i / 7:.2f}" for i in range(39)), "unknown"],
    )
    with pytest.raises(InvalidInput) as refused:
        from_frame(table, Reading(target="y"))
    text = str(refused.value)
    assert "4 columns" in text
    for found in (
        "'patient' holds row numbers (every whole number from 7000 to 7039 once)",
        "'note' holds 40 different texts in 40 records",
        "'visit' holds dates or times",
        "'weight' holds numbers but for 1 row (40): 'unknown'",
        "--ignore visit --ignore patient --ignore note",
        "--skip-invalid",
    ):
        assert found in text


def test_odd_rows_are_dropped_where_that_was_asked_for(frame):
    table = frame.assign(weight=[*(f"{i / 7:.2f}" for i in range(38)), "unknown", None])
    samples = from_frame(table, Reading(target="y", skip_invalid=True))
    assert samples.inputs.shape == (38, 2)
    assert samples.inputs[7, 1] == 1.0
    assert "dropped-rows" in codes(samples)
    with pytest.raises(InvalidInput, match=r"Missing or infinite in 2 rows \(1, 40\).*numbers but for 1 row \(39\)"):
        from_frame(table.assign(a=[None, *range(39)]), Reading(target="y"))


def test_a_censored_target_is_named(frame):
    y = ["<-1.5" if i % 9 == 0 else f"{value:.4f}" for i, value in enumerate(frame["y"])]
    with pytest.raises(InvalidInput, match=r"'y' holds numbers but for 5 rows \(1, 10, 19, 28, 37\): '<-1.5'"):
        from_frame(frame.assign(y=y), Reading(target="y"))


def test_whole_numbers_that_never_repeat_are_doubted(frame, rng):
    found = from_frame(frame.assign(key=rng.permutation(4000)[:40]), Reading(target="y"))
    assert codes(found) == ["unique-columns"]
    assert "columns 'key'" in found.flags[0].text
    assert codes(from_frame(frame.assign(dose=rng.integers(9, size=40)), Reading(target="y"))) == []


@pytest.mark.parametrize("value", [-99999.0, 1e10, 1e30, 1e300, -1e300])
def test_one_absurd_value_is_limited_and_named(frame, value):
    plain = from_frame(frame, Reading(target="y"))
    frame.loc[3, "a"] = value
    samples = from_frame(frame, Reading(target="y"))
    assert "'a': 1 row (4)" in next(flag.text for flag in samples.flags if flag.code == "limited-outliers")
    assert abs(samples.inputs[3, 0]) < 30
    rest = np.arange(40) != 3
    np.testing.assert_array_equal(samples.inputs[rest], plain.inputs[rest])


def test_columns_beyond_32_bits_and_absurd_targets_are_refused(frame):
    with pytest.raises(InvalidInput, match=r"below 1e\+37. Column 'a' holds larger ones in 40 rows"):
        from_frame(frame.assign(a=(np.arange(40) + 1) * 1e39), Reading(target="y"))
    frame.loc[3, "y"] = 1e6
    with pytest.raises(InvalidInput, match=r"In 1 row \(4\) it lies more than 100 times the spread of all others"):
        from_frame(frame, Reading(target="y"))


def test_codes_for_missing_values_are_doubted_and_refused_as_targets(frame, rng):
    frame.loc[::4, "a"] = -999.0
    found = from_frame(frame.drop_duplicates("a"), Reading(target="y"))
    assert "limited-outliers" in codes(found) or "missing-codes" in codes(found)
    frame["b"] = rng.normal(size=40)
    found = from_frame(frame, Reading(target="y"))
    assert "-999 in 10 rows of column 'a'" in next(flag.text for flag in found.flags if flag.code == "missing-codes")
    frame.loc[::8, "y"] = 9999.0
    with pytest.raises(InvalidInput, match=r"9999 in 5 rows \(1, 9, 17, 25, 33\) is far from all others, like a code"):
        from_frame(frame, Reading(target="y"))


def test_heavy_tails_and_rare_values_are_no_outliers(rng):
    table = pd.DataFrame({"a": rng.lognormal(0, 1, 400), "bit": np.arange(400) == 7, "y": rng.lognormal(0, 3, 400)})
    table["bit"] = table["bit"].astype(float)
    assert "limited-outliers" not in codes(from_frame(table, Reading(target="y")))


def test_codes_for_missing_are_no_class_and_capitals_are_told(frame):
    with pytest.raises(InvalidInput, match="-999 in 2 rows is far from all others, as a code for a missing value is"):
        from_frame(frame.assign(y=[-999, 0, 1, -999] + [0, 1] * 18), Reading(target="y"))
    samples = from_frame(frame.assign(y=["Yes", "yes", "no", "no"] * 10), Reading(target="y"))
    assert "'Yes'/'yes'" in next(flag.text for flag in samples.flags if flag.code == "alike-classes")
