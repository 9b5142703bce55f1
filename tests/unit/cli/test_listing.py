import json
import os

import pandas as pd
import pytest
from typer.testing import CliRunner

from leaq.cli.main import app
from tests.helpers import require


@pytest.fixture
def folder(tmp_path, monkeypatch):
    require("rdkit")
    for variable in ("LEAQ_DATA_DIR", "LEAQ_WEIGHTS_DIR"):
        monkeypatch.setenv(variable, "before")  # so that what a command sets is undone afterwards
        monkeypatch.delenv(variable)
    monkeypatch.setenv("LEAQ_CACHE_DIR", str(tmp_path / "cache"))
    tails = ("", "O", "N", "c1ccccc1")
    smiles = [f"{'C' * (i + 1)}{tail}" for i in range(12) for tail in tails]
    pd.DataFrame({"smiles": smiles, "target": [i % 2 for i in range(48)]}).to_csv(tmp_path / "herg.csv", index=False)
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_data_sets_are_listed():
    result = run("list", "datasets")
    assert result.exit_code == 0
    assert "bbb_martins" in result.output


def test_the_list_as_json_holds_addresses_and_hashes():
    entries = {entry["name"]: entry for entry in json.loads(run("list", "datasets", "--json").stdout)}
    assert entries["hiv"]["address"].endswith("HIV.csv")
    assert len(entries["hiv"]["sha256"]) == 64


def test_get_prints_where_the_file_is(folder):
    result = run("get", "herg", "--data-dir", folder)
    assert result.stdout.strip() == str(folder / "herg.csv")


def test_list_says_what_it_lists():
    assert run("list").stdout.splitlines() == [
        f"leaq list {kind}" for kind in ("attacks", "datasets", "embedders", "quantizers")
    ]
    wrong = run("list", "quantisers")
    assert wrong.exit_code == 2
    assert "Did you mean 'quantizers'?" in " ".join(wrong.stderr.split())
    assert run("list", "embedders", "ecfp4").exit_code == 2


def test_get_of_what_ships_with_a_library_says_so():
    found = run("get", "breast_cancer")
    assert found.exit_code == 0
    assert "breast_cancer ships with scikit-learn: there is nothing to fetch." in found.stdout


def test_get_of_an_absent_task_says_what_to_put_where(folder):
    result = run("get", "ames", "--data-dir", folder)
    assert result.exit_code == 2
    assert "Put a CSV file with the columns smiles,target" in " ".join(result.stderr.split())


def test_embedders_are_listed():
    result = run("list", "embedders")
    assert result.exit_code == 0
    assert "gat_contextpred" in result.output


def test_an_audit_from_a_folder_shows_and_draws_the_exposed_molecules(folder):
    words = (
        "audit", "herg", "--data-dir", folder, "--embedder", "maccs", "--quantizers", "sign", "--replicates", 8,
        "--epochs", 2, "--hidden", "8", "--show-records", "--out", folder / "run", "--quiet",
    )  # fmt: skip
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert "records most exposed" in result.stdout
    assert (folder / "run" / "exposed.html").read_text().count("<svg") == 20
    assert os.environ["LEAQ_DATA_DIR"] == str(folder.resolve())


def test_an_absent_folder_is_refused(folder):
    result = run("audit", "herg", "--weights-dir", folder / "nowhere")
    assert result.exit_code == 2
    assert "There is no folder" in " ".join(result.stderr.split())


def test_an_unknown_split_is_refused(folder):
    result = run("audit", "herg", "--data-dir", folder, "--split", "time")
    assert result.exit_code == 2
    assert "'scaffold', 'cluster'" in " ".join(result.stderr.split())
