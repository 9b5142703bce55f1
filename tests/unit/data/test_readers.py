from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from leaq.data import load
from leaq.data.readers import read_frame, read_table
from leaq.errors import InvalidInput, StoreError
from tests.helpers import require


@pytest.fixture
def frame(rng):
    return pd.DataFrame({"a": rng.normal(size=30), "b": rng.normal(size=30), "y": np.arange(30) % 2})


def write(frame, path):
    if path.suffix == ".parquet":
        require("pyarrow")
        frame.to_parquet(path)
    elif path.suffix == ".npz":
        np.savez(path, X=frame[["a", "b"]].to_numpy(), y=frame["y"].to_numpy())
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".npz"])
def test_every_format_holds_the_same_table(frame, tmp_path, suffix):
    found = read_frame(write(frame, tmp_path / f"t{suffix}"))
    np.testing.assert_allclose(found.to_numpy(dtype=float), frame.to_numpy(dtype=float))
    assert found.columns.tolist() == (["X0", "X1", "y"] if suffix == ".npz" else ["a", "b", "y"])


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InvalidInput, match=r"is a folder\. Name a file of type \.csv, \.tsv"):
        read_frame(tmp_path)


def test_other_types_are_refused(tmp_path):
    (tmp_path / "t.xlsx").write_bytes(b"x")
    with pytest.raises(InvalidInput, match=r"file type must be one of .* Found '\.xlsx'\. Save the sheet as CSV"):
        read_frame(tmp_path / "t.xlsx")
    (tmp_path / "t.json").write_text("[]")
    with pytest.raises(InvalidInput, match=r"Found '\.json'\. Write one record a line"):
        read_frame(tmp_path / "t.json")


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("t.csv", b"", r"the file is empty \(0 bytes\)"),
        ("t.csv", b"a,b\n", "has a header but no rows"),
        ("t.csv", b"PK\0\0binary", "cannot be read as CSV .*binary data"),
        ("t.csv", b"a,b\n1,2\n1,2,3,4\n", "cannot be read as CSV"),
        ("t.csv", "a,b\né,1\n".encode("utf-16-le")[1:], "cannot be read as CSV"),
        ("t.npz", b"no archive", "must be an NPZ file of numbers or text"),
        ("t.parquet", b"no parquet", "cannot be read as PARQUET"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, name, content, text):
    if name.endswith("parquet"):
        require("pyarrow")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=text):
        read_frame(tmp_path / name)


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "t.npz", y=np.array([{}], dtype=object))
    with pytest.raises(InvalidInput, match="holds Python objects, which only pickle reads"):
        read_frame(tmp_path / "t.npz")


def test_one_array_may_hold_images_and_two_are_refused(tmp_path):
    np.savez(tmp_path / "t.npz", X=np.arange(24.0).reshape(4, 2, 3), y=np.zeros(4))
    table = read_table(tmp_path / "t.npz")
    assert table.shape == (2, 3)
    np.testing.assert_array_equal(table.frame.drop(columns="y").to_numpy(), np.arange(24.0).reshape(4, 6))
    np.savez(tmp_path / "t.npz", X=np.zeros((2, 2, 2)), Z=np.zeros((2, 2, 2)))
    with pytest.raises(InvalidInput, match="array 'Z' has 3 dimensions; one array may have more than 2"):
        read_frame(tmp_path / "t.npz")


@pytest.fixture
def sdf(tmp_path):
    require("rdkit")
    from rdkit import Chem

    path = tmp_path / "m.sdf"
    with Chem.SDWriter(str(path)) as writer:
        for i in range(24):
            molecule = Chem.MolFromSmiles("C" * (i + 1) + "O")
            molecule.SetProp("logS", str(-0.1 * i))
            molecule.SetProp("name", f"m{i}")
            writer.write(molecule)
    return path


def test_an_sd_file_gives_structures_and_properties(sdf):
    found = read_frame(sdf)
    assert found.columns.tolist() == ["logS", "name", "smiles"]
    assert found["smiles"][1] == "CCO"
    assert found["logS"].dtype == float
    samples = load(sdf, target="logS")
    assert samples.kind == "smiles"
    assert samples.task == "regression"


def test_an_sd_file_without_the_property_lists_what_it_has(sdf):
    with pytest.raises(InvalidInput, match=r"no column 'logP' \(--target\)\. Columns: logS, name, smiles\."):
        load(sdf, target="logP")


def test_an_unreadable_structure_is_named_by_row(sdf):
    text = sdf.read_text().split("$$$$\n")
    text[4] = text[4].replace(" C ", " Xx", 1).replace("V2000", "V9999")
    sdf.write_text("$$$$\n".join(text))
    with pytest.raises(InvalidInput, match=r"SMILES that cannot be read in 1 row \(5\)"):
        load(sdf, target="logS")
    assert len(load(sdf, target="logS", skip_invalid=True)) == 23


def test_a_parquet_file_that_names_a_column_twice_is_refused_by_its_name(tmp_path):
    require("pyarrow")
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table([[1.0], [2.0]], names=["a", "a"]), tmp_path / "t.parquet")
    with pytest.raises(InvalidInput, match=r"column names must differ. Found twice: a\."):
        read_table(tmp_path / "t.parquet")


def test_a_small_parquet_file_with_a_large_content_is_refused(tmp_path, monkeypatch):
    require("pyarrow")
    path = tmp_path / "bomb.parquet"
    pd.DataFrame({"smiles": ["C" * 5000] * 10_000}).to_parquet(path)
    assert path.stat().st_size < 100_000
    monkeypatch.setattr("leaq.system.memory.memory_budget", lambda: 1 << 24)
    with pytest.raises(InvalidInput, match=r"bomb.parquet: its content must fit into"):
        read_frame(path)
    pd.DataFrame({"smiles": pd.Categorical(["C" * 5000] * 10_000)}).to_parquet(path)  # kept once, read 10,000 times
    assert path.stat().st_size < 100_000
    with pytest.raises(InvalidInput, match=r"bomb.parquet: its content must fit into"):
        read_frame(path)


def test_a_molecule_that_would_end_the_process_is_no_molecule(tmp_path):
    require("rdkit")
    chain = "C" * 30_000
    path = tmp_path / "m.csv"
    pd.DataFrame({"smiles": ["C" * n for n in range(1, 40)] + [chain], "y": np.arange(40.0)}).to_csv(path, index=False)
    with pytest.raises(InvalidInput, match=r"cannot be read or have more than 10,000 characters in 1 row \(40\)"):
        load(path, target="y", smiles="smiles")
    atoms = "".join(f"M  V30 {at} C 0 0 0 0\n" for at in range(1, 12_001))
    head = "\n\n\n  0  0  0     0  0            999 V3000\nM  V30 BEGIN CTAB\nM  V30 COUNTS 12000 0 0 0 0\n"
    block = f"{head}M  V30 BEGIN ATOM\n{atoms}M  V30 END ATOM\nM  V30 END CTAB\nM  END\n> <y>\n1\n\n$$$$\n"
    (tmp_path / "m.sdf").write_text(block)
    assert read_frame(tmp_path / "m.sdf")["smiles"].isna().all()


@pytest.mark.parametrize("name", ["m.npz", "m.parquet", "m.csv", "m.sdf"])
def test_a_damaged_file_of_any_form_is_refused_in_words_or_read(name, tmp_path, rng):
    path = tmp_path / name
    frame = pd.DataFrame({"x0": np.arange(30.0), "y": np.arange(30) % 2})
    if name == "m.npz":
        np.savez_compressed(path, x=np.arange(30.0), y=np.arange(30))
    elif name == "m.parquet":
        require("pyarrow")
        frame.to_parquet(path)
    elif name == "m.sdf":
        require("rdkit")
        path.write_text("\n\n\n  0  0  0  0  0  0  0  0  0  0999 V2000\nM  END\n> <y>\n1\n\n$$$$\n" * 3)
    else:
        frame.to_csv(path, index=False)
    content = path.read_bytes()
    for _ in range(60):
        damaged = bytearray(content)
        for _ in range(int(rng.integers(1, 5))):
            damaged[int(rng.integers(len(damaged)))] = int(rng.integers(256))
        path.write_bytes(damaged[: int(rng.integers(1, len(damaged)))] if rng.random() < 0.3 else damaged)
        try:
            read_frame(path)
        except InvalidInput as err:
            assert "m." in str(err)  # noqa: PT017 -- damage to a value leaves a table


def said(table):
    return [flag.code for flag in table.flags]


@pytest.mark.parametrize(("form", "flags"), [
    ((",", ".", ".csv"), []), ((";", ",", ".csv"), ["separator"]), (("\t", ".", ".csv"), ["separator"]),
    (("|", ".", ".txt"), ["separator"]), ((",", ".", ".tsv"), ["separator"]), (("\t", ".", ".tsv"), []),
])  # fmt: skip
def test_separators_are_recognised(frame, tmp_path, form, flags):
    separator, decimal, suffix = form
    path = tmp_path / f"t{suffix}"
    frame.to_csv(path, sep=separator, decimal=decimal, index=False)
    table = read_table(path)
    assert said(table) == flags
    samples = load(path, target="y")
    np.testing.assert_allclose(samples.inputs, frame[["a", "b"]])


@pytest.mark.parametrize(("encoding", "flags"), [("utf-8", []), ("utf-8-sig", []), ("utf-16", ["encoding"]),
                                                 ("cp1252", ["encoding"])])  # fmt: skip
def test_encodings_are_recognised(frame, tmp_path, encoding, flags):
    frame.assign(größe=["é", "ü"] * 15).to_csv(tmp_path / "t.csv", index=False, encoding=encoding)
    table = read_table(tmp_path / "t.csv")
    assert said(table) == flags
    assert table.frame["größe"][0] == "é"


def test_a_separator_at_the_end_shifts_nothing(frame, tmp_path):
    lines = frame.to_csv(index=False).splitlines()
    (tmp_path / "records.csv").write_text("\n".join([lines[0], *(line + "," for line in lines[1:])]))
    (tmp_path / "all.csv").write_text("\n".join(line + "," for line in lines))
    for name, flag in (("records", "trailing-separators"), ("all", "empty-columns")):
        table = read_table(tmp_path / f"{name}.csv")
        assert said(table) == [flag]
        pd.testing.assert_frame_equal(table.frame, frame)


def test_saved_row_names_are_left_out(frame, tmp_path):
    frame.to_csv(tmp_path / "index.csv")
    lines = frame.to_csv(index=False).splitlines()
    named = [f"r{i},{line}" for i, line in enumerate(lines[1:])]
    (tmp_path / "r.csv").write_text("\n".join([lines[0], *named]))
    for name in ("index", "r"):
        table = read_table(tmp_path / f"{name}.csv")
        assert said(table) == ["index-column"]
        pd.testing.assert_frame_equal(table.frame, frame)


def test_a_saved_index_of_a_part_and_the_line_of_a_spreadsheet(frame, tmp_path):
    frame.sample(frac=0.7, random_state=0).to_csv(tmp_path / "part.csv")
    assert said(read_table(tmp_path / "part.csv")) == ["index-column"]
    (tmp_path / "sheet.csv").write_text("sep=;\r\n" + frame.to_csv(index=False, sep=";", decimal=","))
    assert load(tmp_path / "sheet.csv", target="y").inputs.shape == (30, 2)


def test_the_word_na_is_a_word_among_words_only(frame, tmp_path):
    land = ["NA", "DE", "FR"] * 10
    frame.assign(land=land, c=["NA", *frame["a"][1:]]).to_csv(tmp_path / "t.csv", index=False)
    table = read_table(tmp_path / "t.csv")
    assert table.frame["land"].tolist() == land
    assert table.frame["c"].isna().tolist() == [True] + [False] * 29
    assert "'NA' in 10 rows of column 'land'" in table.flags[0].text
    frame.assign(land=["", "DE", "FR"] * 10).to_csv(tmp_path / "t.csv", index=False)
    assert read_frame(tmp_path / "t.csv")["land"].isna().sum() == 10


def test_json_lines_are_records(frame, tmp_path):
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    pd.testing.assert_frame_equal(read_frame(tmp_path / "t.jsonl"), frame)
    (tmp_path / "t.jsonl").write_text('{"a": 1}\n{"a": \n')
    with pytest.raises(InvalidInput, match="line 2 is no JSON"):
        read_frame(tmp_path / "t.jsonl")


def test_arrays_of_any_byte_order_and_no_complex_ones(frame, tmp_path):
    np.savez(tmp_path / "t.npz", X=frame[["a", "b"]].to_numpy(">f8"), y=frame["y"].to_numpy(">i4"))
    np.testing.assert_array_equal(load(tmp_path / "t.npz", target="y").inputs, frame[["a", "b"]])
    np.savez(tmp_path / "t.npz", X=frame[["a"]].to_numpy() + 1j, y=frame["y"])
    with pytest.raises(InvalidInput, match="array 'X' holds complex numbers"):
        read_frame(tmp_path / "t.npz")


def test_decimals_of_parquet_are_numbers(frame, tmp_path):
    require("pyarrow")
    exact = [Decimal(f"{value:.2f}") for value in frame["a"]]
    frame.assign(a=exact, y=exact).to_parquet(tmp_path / "t.parquet")
    samples = load(tmp_path / "t.parquet", target="y")
    assert samples.task == "regression"
    np.testing.assert_allclose(samples.inputs[:, 0], frame["a"].round(2))


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("t.csv", b"a,y,y\n1,2,3\n", "column names must differ. Found twice: y"),
        ("t.csv", b"a,y\n0,5,1\n0,7,2\n", "records have one field more .* save the file with semicolons"),
        ("t.csv", "a,y\n1,2\n".encode("utf-32"), "UTF-32"),
        ("t.csv", "a,y\n1,2\n".encode("utf-16-le"), "UTF-16 with its mark"),
        ("t.jsonl", b'{"a": 1, "a": 2}\n', "line 1 holds a field twice: 'a'"),
    ],
)
def test_what_would_be_read_as_something_else_is_refused(tmp_path, name, content, text):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=text):
        read_frame(tmp_path / name)


def test_row_names_that_tell_records_apart_are_left_out(tmp_path):
    (tmp_path / "t.csv").write_text("a,land,y\rr1,05,NA,1\rr2,17,DE,2\r")
    table = read_table(tmp_path / "t.csv")
    assert table.frame.to_dict("list") == {"a": ["05", "17"], "land": ["NA", "DE"], "y": [1, 2]}
    assert [flag.code for flag in table.flags] == ["index-column", "kept-words"]


def test_numbers_that_begin_with_zeros_are_codes(tmp_path):
    (tmp_path / "t.csv").write_text("zip,n,y\n01234,0,1\n17000,10,2\n")
    frame = read_frame(tmp_path / "t.csv")
    assert frame.to_dict("list") == {"zip": ["01234", "17000"], "n": [0, 10], "y": [1, 2]}


def test_a_nameless_column_of_values_is_told(tmp_path):
    (tmp_path / "t.csv").write_text(",y\n0.5,1\n0.7,2\n")
    assert [flag.code for flag in read_table(tmp_path / "t.csv").flags] == ["nameless-columns"]


def test_lines_of_json_end_in_line_feeds_alone(tmp_path):
    (tmp_path / "t.jsonl").write_bytes('{"s": "x\u2028y", "y": 1}\r\n{"s": "z\x85", "y": 2}\n'.encode())
    assert read_frame(tmp_path / "t.jsonl")["s"].tolist() == ["x\u2028y", "z\x85"]


def test_arrays_of_one_column_keep_their_name_and_names_differ(tmp_path):
    np.savez(tmp_path / "t.npz", X=np.zeros((3, 2)), y=np.ones((3, 1)))
    assert read_frame(tmp_path / "t.npz").columns.tolist() == ["X0", "X1", "y"]
    np.savez(tmp_path / "t.npz", X=np.zeros((3, 2)), X0=np.ones(3))
    with pytest.raises(InvalidInput, match="Found twice: X0"):
        read_frame(tmp_path / "t.npz")


@pytest.mark.parametrize("end", ["", ","])
def test_a_field_more_than_the_header_is_seen_where_rows_count_from_0(tmp_path, end):
    lead = "" if end else "{i},"
    rows = [f"{lead.format(i=i)}{i},{i / 7},{i % 2}{end}" for i in range(30)]
    (tmp_path / "t.csv").write_text("\n".join(["n,b,y", *rows]))
    table = read_table(tmp_path / "t.csv")
    assert table.frame["y"].tolist() == [i % 2 for i in range(30)]
    assert table.frame["n"].tolist() == list(range(30))
    assert [flag.code for flag in table.flags] == ["trailing-separators" if end else "index-column"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n", "git lfs pull"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "a web page"),
    ],
)
def test_what_stands_in_a_tables_place_is_named(tmp_path, content, text):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(StoreError, match=text):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize(("ends", "encoding"), [("\r", "utf-8"), ("\r\n", "latin-1"), ("\n", "latin-1")])
def test_an_sd_file_of_other_line_ends_and_encodings_is_read(sdf, tmp_path, ends, encoding):
    want = read_frame(sdf)
    text = sdf.read_text().replace("<name>", "<n\u00e4me>").replace("\n", ends)
    (tmp_path / "other.sdf").write_bytes(text.encode(encoding))
    found = read_frame(tmp_path / "other.sdf")
    assert found["smiles"].tolist() == want["smiles"].tolist()
    assert found["n\u00e4me"].tolist() == want["name"].tolist()
