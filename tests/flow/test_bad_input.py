"""What a user gets wrong on the command line: one clear error, exit code 2, nothing written over."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from leaq.cli.main import app
from tests.helpers import require

ROWS = 40


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def refused(*words):
    """Run a command that must fail as wrong input does, and return its message on one line."""
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    return " ".join(result.stderr.split())


@pytest.fixture
def frame(rng):
    return pd.DataFrame({"a": rng.normal(size=ROWS), "b": rng.normal(size=ROWS), "y": np.arange(ROWS) % 2})


@pytest.fixture
def table(frame, tmp_path):
    """Write a changed copy of the frame and return its path."""

    def write(**columns):
        path = tmp_path / "my.csv"
        frame.assign(**columns).to_csv(path, index=False)
        return path

    return write


def test_missing_file(tmp_path, table):
    table()
    assert "There is no file" in (text := refused("audit", tmp_path / "mine.csv", "--target", "y"))
    assert "Did you mean 'my.csv'?" in text


def test_unknown_data_set():
    assert "Unknown data set 'breastcancer'" in (text := refused("audit", "breastcancer"))
    assert "Did you mean 'breast_cancer'?" in text


def test_not_a_csv(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"\x00\x01\x02" * 50)
    assert "cannot be read as CSV (it holds binary data" in refused("audit", path, "--target", "y")


@pytest.mark.parametrize(("content", "text"), [("", "the file is empty"), ("a,y\n", "a header but no rows")])
def test_empty(tmp_path, content, text):
    path = tmp_path / "x.csv"
    path.write_text(content)
    assert text in refused("audit", path, "--target", "y")


def test_no_target_named(table):
    assert "--target must name a column. Columns: a, b, y." in refused("audit", table())


def test_no_such_target(table):
    text = refused("audit", table(target=1), "--target", "tarket")
    assert "there is no column 'tarket' (--target). Columns: a, b, y, target. Did you mean 'target'?" in text


def test_constant_target(table):
    assert "the target 'y' must vary" in refused("audit", table(y=1), "--target", "y")


def test_too_few_records(tmp_path, frame):
    path = tmp_path / "x.csv"
    frame.head(19).to_csv(path, index=False)
    assert "at least 20 records. Found 19" in refused("audit", path, "--target", "y")


def test_missing_and_infinite_values(table, frame):
    values = frame["a"].to_numpy().copy()
    values[[2, 7]] = np.nan, np.inf
    text = refused("audit", table(a=values), "--target", "y")
    assert "Missing or infinite in 2 rows (3, 8), columns 'a' (2)" in text
    assert "--skip-invalid" in text


def test_more_than_half_duplicates(table):
    assert "more than half of the records are duplicates (38 of 40)" in refused(
        "audit", table(a=1.0, b=np.arange(ROWS) % 2), "--target", "y"
    )


def test_a_class_with_one_record(table):
    labels = np.r_[2, np.arange(ROWS - 1) % 2]
    assert "Class '2' has 1" in refused("audit", table(y=labels), "--target", "y", "--task", "classification")


def test_unreadable_smiles_by_row(table):
    require("rdkit")
    smiles = [f"C{'C' * i}O" for i in range(ROWS)]
    smiles[4] = "no molecule"
    text = refused("audit", table(smiles=smiles), "--target", "a", "--smiles", "smiles")
    assert "SMILES that cannot be read in 1 row (5)" in text
    assert "--skip-invalid" in text


def test_unknown_quantizer(table):
    text = refused("audit", table(), "--target", "y", "--quantizers", "sgn")
    assert "Unknown quantizer 'sgn'" in text
    assert "Did you mean 'sign'?" in text


def test_a_quantizer_option_that_does_not_exist(table):
    text = refused("audit", table(), "--target", "y", "--quantizers", "uniform(bit=4)")
    assert "unknown option 'bit'. Did you mean 'bits'?" in text


def test_hidden_widths_that_are_none(table):
    assert "--hidden: Input should be a valid integer, unable to parse string as an integer (found '12x')." in refused(
        "audit", table(), "--target", "y", "--hidden", "12x"
    )


def test_out_folder_of_another_configuration(table, tmp_path):
    words = ("audit", table(), "--target", "y", "--epochs", 1, "--replicates", 4, "--quantizers", "sign")
    words = (*words, "--quiet", "--out", tmp_path / "run")
    assert run(*words).exit_code == 0
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    text = refused(*words, "--seed", 5)
    assert "holds another configuration: seed differ" in text
    assert "(seed: 0 there, 5 asked for)" in text
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


def test_out_folder_with_other_things_in_it(table, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("dear")
    assert "It holds other things" in refused("audit", table(), "--target", "y", "--out", tmp_path / "home")
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["thesis.tex"]


def test_out_folder_that_cannot_be_made(table, tmp_path):
    (tmp_path / "file").write_text("")
    assert "must be writable" in refused("audit", table(), "--target", "y", "--out", tmp_path / "file" / "run")


def test_a_report_that_cannot_be_written_is_refused_before_the_work(table, tmp_path):
    text = refused("audit", table(), "--target", "y", "--report", tmp_path / "none" / "r.html")
    assert "must exist" in text


def test_a_disk_that_fills_up_keeps_what_is_there(table, tmp_path, monkeypatch):
    import os

    words = ("audit", table(), "--target", "y", "--epochs", 1, "--replicates", 4, "--quantizers", "sign", "--quiet")
    words = (*words, "--out", tmp_path / "run")
    with monkeypatch.context() as patch:
        real, calls = os.fsync, []

        def full(handle):
            calls.append(handle)
            if len(calls) > 2:
                raise OSError(28, "No space left on device")
            real(handle)

        patch.setattr(os, "fsync", full)
        assert "No space left on device" in refused(*words)
    assert run(*words).exit_code == 0


def test_interrupted_work_says_how_to_resume(table, tmp_path, monkeypatch):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    words = ("audit", table(), "--target", "y", "--epochs", 1, "--replicates", 4, "--quantizers", "sign", "--quiet")
    with monkeypatch.context() as patch:
        patch.setattr("leaq.pipeline.flow.measure", interrupt)
        result = run(*words, "--out", tmp_path / "run")
        assert result.exit_code == 130
        assert "Finished work is kept" in result.stderr
        assert "Resume: the same command again" in " ".join(result.stderr.split())
        assert "name a run folder with --out" in " ".join(run(*words).stderr.split())
    monkeypatch.setattr("leaq.pipeline.subjects.heads.train", pytest.fail)  # the models are on the store
    assert run(*words, "--out", tmp_path / "run").exit_code == 0


def test_what_was_not_finished_is_not_said_to_be_kept(table, tmp_path, monkeypatch):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("leaq.pipeline.subjects.heads.train", interrupt)
    words = ("audit", table(), "--target", "y", "--epochs", 1, "--replicates", 4, "--quantizers", "sign", "--quiet")
    said = " ".join(run(*words, "--out", tmp_path / "run").stderr.split())
    assert "Interrupted. No part was finished yet. Resume: the same command again." in said


def test_show_without_a_run(tmp_path):
    assert "is no run folder" in refused("show", tmp_path)
