import json
import os
import subprocess
import sys

import pandas as pd
import pytest
from typer.testing import CliRunner

from leaq.cli.main import app
from leaq.system import doctor as checkup
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


def run_of_doctor(*words):
    return CliRunner().invoke(app, ["doctor", *words])


def test_it_names_packages_machine_and_folders(monkeypatch, tmp_path):
    monkeypatch.setenv("LEAQ_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("LEAQ_WEIGHTS_DIR", raising=False)
    result = run_of_doctor()
    assert result.exit_code == 0, result.output
    for words in ("Needed", "ok torch", "Extras", "cores: ", "GPU: ", str(tmp_path), "Nothing has to be done."):
        assert words in result.stdout


def test_something_to_do_is_exit_code_1(monkeypatch, tmp_path):
    monkeypatch.setenv("LEAQ_DATA_DIR", str(tmp_path / "gone"))
    assert "is missing. Create it" in run_of_doctor().stdout
    result = run_of_doctor("--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["ok"] is False
    assert found["places"][0]["state"] == "missing"


def test_a_missing_extra_comes_with_its_command(monkeypatch):
    monkeypatch.setattr(checkup, "requires", lambda _: ["no-such-package>=1; extra == 'onnx'"])
    result = run_of_doctor()
    assert "no onnx" in result.stdout
    assert "no-such-package not installed (needed: >=1)" in result.stdout
    assert "pip install 'leaq[onnx]'" in result.stdout


def test_it_is_quick_because_it_imports_nothing_that_computes():
    code = (
        "import sys; sys.argv = ['leaq', 'doctor']\n"
        "from leaq.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'pandas', 'scipy', 'sklearn') if m in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stderr.strip() == "[]"
