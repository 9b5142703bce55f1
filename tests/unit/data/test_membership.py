import numpy as np
import pandas as pd
import pytest

from leaq.data.membership import marked, released_on
from leaq.data.readers import SourceTable
from leaq.data.tables import from_arrays
from leaq.errors import InvalidInput, NotEnoughEvidence

FRAME = pd.DataFrame({"a": [1, 2, 2, 3], "b": ["x", "y", "y", "z"], "y": [0, 1, 1, 0]})


def test_each_row_of_the_members_is_one_row_of_the_source():
    table, inside = marked(SourceTable(FRAME), FRAME.iloc[[1, 3]][["y", "b", "a"]], target="y")
    assert inside.tolist() == [False, True, False, True]  # of two equal rows the first
    assert len(table.frame) == 4
    _, both = marked(SourceTable(FRAME), FRAME.iloc[[1, 2]], target="y")
    assert both.tolist() == [False, True, True, False]


def test_members_that_the_source_lacks_stand_after_it_and_are_said():
    other = pd.DataFrame({"a": [2.0, 9.0], "b": ["y", "new"], "y": [1, 1]})
    table, inside = marked(SourceTable(FRAME), other, target="y")
    assert inside.tolist() == [False, True, False, False, True]
    assert table.frame["a"].tolist() == [1, 2, 2, 3, 9]
    (flag,) = table.flags
    assert flag.text == "Of 2 members, 1 are rows of the source; 1 are not, and stand after them, counted from row 5."


def test_a_file_a_mask_and_row_numbers_say_the_same(tmp_path):
    FRAME.iloc[[0, 3]].to_csv(tmp_path / "m.csv", index=False)
    for members in (tmp_path / "m.csv", np.array([True, False, False, True]), [1, 4], np.array([4, 1])):
        assert marked(SourceTable(FRAME), members, target="y")[1].tolist() == [True, False, False, True]


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
        marked(SourceTable(FRAME), members, target="y")


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
