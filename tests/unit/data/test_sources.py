"""What the head of a table tells before the table is read; whatever is not certain is left to the reader."""

import numpy as np
import pytest

from leaq.data import check_columns, load
from leaq.data.loading import mixture
from leaq.errors import InvalidInput


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_a_column_that_is_not_there_is_refused_with_those_that_are(tmp_path, mark):
    (tmp_path / "m.csv").write_text(f"a{mark}note{mark}y\n1{mark}2{mark}3\n")
    check_columns(tmp_path / "m.csv", {"--target": ["y"], "--ignore": ["a", "note"]})
    with pytest.raises(InvalidInput, match=r"no column 'nope' \(--target\). Columns: a, note, y. Did you mean 'note'"):
        check_columns(tmp_path / "m.csv", {"--target": ["nope"]})
    with pytest.raises(InvalidInput, match=r"no column 'nope' \(--ignore\)"):
        check_columns(tmp_path / "m.csv", {"--target": ["y"], "--ignore": ["a", "nope"]})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.csv", b"sep=;\na;b\n"),
        ("m.csv", b"# made by hand\na,b\n1,2\n"),
        ("m.csv", "größe,y\n1,2\n".encode("latin-1")),
        ("m.csv", b'"a\nb",y\n1,2\n'),
        ("m.csv", b"a,b"),
        ("m.jsonl", b'{"a": 1}\n'),
        ("m.csv", b'"the nope",y\n1,2\n'),
    ],
)
def test_a_head_that_may_mean_something_else_refuses_nothing(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    check_columns(tmp_path / name, {"--target": ["nope"]})


def test_a_name_of_a_data_set_has_no_head(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_columns("wine", {"--target": ["nope"]})


def test_each_of_several_targets_is_looked_for_in_the_head(tmp_path):
    (tmp_path / "m.csv").write_text('a,b,"conc, mM"\n1,2,3\n')
    check_columns(tmp_path / "m.csv", {"--target": ["a, b"]})
    check_columns(tmp_path / "m.csv", {"--target": ["conc, mM"]})
    with pytest.raises(InvalidInput, match=r"there is no column 'nope' \(--target\). Columns: a, b, conc, mM"):
        check_columns(tmp_path / "m.csv", {"--target": ["a,nope"]})


def test_named_like_any_other_source():
    samples = load("mixture(modes=4, d=16, n=80, seed=3)")
    assert samples.inputs.shape == (80, 16)
    assert np.array_equal(samples.inputs, mixture(modes=4, d=16, n=80, seed=3).inputs)
    assert not np.array_equal(samples.inputs, mixture(modes=4, d=16, n=80, seed=4).inputs)
    assert [flag.code for flag in samples.flags] == ["synthetic"]


def test_records_scatter_around_their_centres_with_unit_variance():
    samples = mixture(modes=2, d=64, n=2000, spread=3.0)
    for label in (0, 1):
        mine = samples.inputs[samples.targets == label]
        assert mine.var(0).mean() == pytest.approx(1, abs=0.03)
    means = [samples.inputs[samples.targets == label].mean(0) for label in (0, 1)]
    assert np.linalg.norm(means[0] - means[1]) == pytest.approx(3 * np.sqrt(2) * 64**0.25, rel=0.3)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mixture(modes=1)", "modes must be a whole number of at least 2. Found 1"),
        ("mixture(n=3)", "n must be a whole number of at least 20. Found 3"),
        ("mixture(spread=0)", "spread must be a positive number"),
        ("mixture(mode=2)", "Options: modes, d, n, spread, seed"),
    ],
)
def test_refusals(spec, message):
    with pytest.raises(InvalidInput, match=message):
        load(spec)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("m.ndjson", "name it .jsonl"),
        ("m", "Found 'none'. If it is a text with a header of columns, name it .csv or .txt"),
        ("m.data", "name it .csv or .txt"),
        ("m.npy", "numpy.savez"),
        ("m.smi", "Give it a header"),
        ("m.h5", "Write it as Parquet"),
        ("m.csv.xz", "Unpack it first"),
    ],
)
def test_tables_that_are_not_read_are_told_what_to_be_saved_as(tmp_path, name, remedy):
    (tmp_path / name).write_text("a,y\n1,2\n")
    with pytest.raises(InvalidInput, match=remedy):
        load(tmp_path / name, target="y")
