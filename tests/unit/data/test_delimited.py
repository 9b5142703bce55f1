"""Comments, titles, blanks as separators: read with a word, or refused with what to do."""

import numpy as np
import pandas as pd
import pytest

from leaq.data.readers import read_table
from leaq.errors import InvalidInput

ROWS = "a,b,y\n1,2.5,3\n4,5.5,6\n7,8.5,9\n"
WANTED = pd.DataFrame({"a": [1, 4, 7], "b": [2.5, 5.5, 8.5], "y": [3, 6, 9]})


def read(folder, text, name="m.csv", encoding="utf-8"):
    (folder / name).write_bytes(text.encode(encoding))
    table = read_table(folder / name)
    return table.frame, {flag.code: flag.text for flag in table.flags}


@pytest.mark.parametrize("above", [
    "# made on Monday\n", "# made on Monday, by hand\n#\n\n# twice\n", "% made\n", "// made\n", "#a note\r\n",
])  # fmt: skip
def test_comments_above_the_header_are_left_out_with_a_word(tmp_path, above):
    frame, flags = read(tmp_path, above + ROWS)
    pd.testing.assert_frame_equal(frame, WANTED)
    assert "of comments were left out" in flags["comments"]


@pytest.mark.parametrize("text", [
    ROWS.replace("4,5.5", "# the second half\n4,5.5"), ROWS + "# the end\n", "# first\n" + ROWS + "#\n",
    "# " + ROWS, "#" + ROWS, "# made by numpy\n# " + ROWS,
    "\ufeff# a mark first\n" + ROWS, "sep=,\n# said by a spreadsheet\n" + ROWS,
])  # fmt: skip
def test_comments_among_the_rows_and_headers_written_as_comments(tmp_path, text):
    frame, flags = read(tmp_path, text)
    pd.testing.assert_frame_equal(frame, WANTED)
    assert "comments" in flags
    frame, flags = read(tmp_path, text, encoding="utf-16") if text[0] != "\ufeff" else (frame, flags)
    pd.testing.assert_frame_equal(frame, WANTED)


def test_words_that_begin_like_comments_stay(tmp_path):
    frame, flags = read(tmp_path, "tag,y\n#one,1\n%two,2\n//x,3\n")
    assert frame["tag"].tolist() == ["#one", "%two", "//x"]
    assert flags == {}
    frame, _ = read(tmp_path, 'tag,y\n"a\n# no comment\nb",1\n"c",2\n')
    assert frame["tag"].tolist() == ["a\n# no comment\nb", "c"]
    frame, flags = read(tmp_path, "#,a,y\n1,2,3\n2,5,6\n")
    assert "a" in frame.columns


@pytest.mark.parametrize("text", [
    ROWS.replace(",", " "), ROWS.replace(",", "   "), "# note\n# " + ROWS.replace(",", " "),
    "  " + ROWS.replace(",", "  ").replace("\n", "\n  ").rstrip(" "),
])  # fmt: skip
@pytest.mark.parametrize("name", ["m.csv", "m.txt"])
def test_runs_of_blanks_are_a_separator(tmp_path, text, name):
    frame, flags = read(tmp_path, text, name)
    pd.testing.assert_frame_equal(frame, WANTED)
    assert flags["separator"] == "Columns are separated by blanks, which was recognised from the header."


def test_blanks_are_no_separator_of_a_table_that_has_one(tmp_path):
    frame, flags = read(tmp_path, "a name,y\none two,1\nthree four,2\n")
    assert frame["a name"].tolist() == ["one two", "three four"]
    assert flags == {}


def test_numbers_saved_by_numpy_are_read(tmp_path):
    numbers = np.arange(12.0).reshape(4, 3)
    for options in ({"delimiter": ","}, {}, {"delimiter": "\t"}, {"delimiter": ";"}):
        header = options.get("delimiter", " ").join("aby")
        np.savetxt(tmp_path / "m.csv", numbers, header=header, **options)
        table = read_table(tmp_path / "m.csv")
        assert list(table.frame.columns) == ["a", "b", "y"]
        assert np.array_equal(table.frame.to_numpy(), numbers)


def test_titles_above_the_header_are_refused_in_words(tmp_path):
    for title in ("Results of 2024\n", "Results of 2024\n\nsecond line\n"):
        with pytest.raises(
            InvalidInput, match="first line must name the columns; it has one field and most lines have 3"
        ):
            read(tmp_path, title + ROWS)


def test_a_column_named_twice_is_refused_with_blanks_too(tmp_path):
    with pytest.raises(InvalidInput, match="column names must differ. Found twice: a"):
        read(tmp_path, "a a y\n1 2 3\n4 5 6\n")


def test_points_set_off_thousands_where_decimals_have_commas(tmp_path):
    frame, flags = read(tmp_path, "a;b;c;y\n0,5;1.234;1.5;3\n1,5;873;0.125;4\n2,5;12.345.678;2.25;5\n")
    assert frame["b"].tolist() == [1234, 873, 12345678]
    assert frame["c"].tolist() == [1.5, 0.125, 2.25]
    assert "columns 'b'" in flags["thousands"]
    frame, flags = read(tmp_path, "a;b;y\n0.5;1.234;3\n1.5;873;4\n")
    assert frame["b"].tolist() == [1.234, 873]
    assert "thousands" not in flags


def test_a_record_in_place_of_the_header_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("0.5,1.25,1\n" + "0.25,2.5,0\n1.5,0.5,1\n" * 20)
    with pytest.raises(InvalidInput, match=r"must name the columns; it holds the numbers 0.5, 1.25, 1"):
        read_table(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("0,1,2\n" + "0.25,2.5,0\n1.5,0.5,1\n" * 20)  # pandas' own names
    assert list(read_table(tmp_path / "t.csv").frame.columns) == ["0", "1", "2"]


@pytest.mark.parametrize("above", ["Report 2024,,", "Features,,Outcome", ",,"])
def test_titles_and_merged_cells_above_the_header_are_refused(tmp_path, above):
    """They were taken for names: "there is no column 'y'. Columns: Unnamed: 0, ..."."""
    (tmp_path / "m.csv").write_text(f"{above}\na,b,y\n" + "1.5,2,0\n" * 30)
    with pytest.raises(InvalidInput, match="first line must name the columns; it names . of 3. Remove the lines above"):
        read_table(tmp_path / "m.csv")
    for header in ("a,b,", ",b,y", "a,,y"):
        (tmp_path / "m.csv").write_text(f"{header}\n" + "1.5,2,0\n" * 30)
        assert len(read_table(tmp_path / "m.csv").frame) == 30
