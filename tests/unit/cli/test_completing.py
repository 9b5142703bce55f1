from pathlib import Path

import pytest

from leaq.cli.completing import (
    complete_attacks,
    complete_data_sets,
    complete_embedders,
    complete_kinds,
    complete_quantizers,
    complete_runs,
)


def test_names_are_completed_from_what_is_known():
    assert complete_kinds("q") == ["quantizers"]
    assert "breast_cancer" in complete_data_sets("breast")
    assert "ecfp4" in complete_embedders("ecfp")
    assert "lira" in complete_attacks("li")
    assert "sign" in complete_quantizers("si")


def test_a_list_is_completed_at_its_end():
    assert "sign,ternary(sparsity=0.5)" in complete_quantizers("sign,tern")
    assert "threshold,rmia" in complete_attacks("threshold,rm")


def test_files_of_the_folder_are_offered_beside_data_sets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("patients.csv").touch()
    assert complete_data_sets("pat") == ["patients.csv"]


@pytest.mark.parametrize("typed", ["", "runs", "runs/", "runs/b"])
def test_run_folders_are_those_with_a_configuration(typed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEAQ_RUNS_DIR", raising=False)
    for name in ("runs/bc", "runs/empty"):
        Path(name).mkdir(parents=True)
    Path("runs/bc/config.json").touch()
    assert complete_runs(typed) == ["runs/bc"]
