import json
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from leaq.cli.main import app
from leaq.study import Store
from tests.unit.study.cells import cell, row
from tests.unit.study.small import small


@pytest.fixture
def folder(tmp_path):
    store = Store.open(tmp_path / "run", small())
    rows = [row("none", 0.5, 0.95), row("sparse", 0.02, 0.7, drop=-0.25), row("sign", 0.2, 0.94, drop=-0.005),
            row("four", 0.4, 0.95)]  # fmt: skip
    store.save("x-0123456789abcdef-fedcba9876543210", cell(rows))
    store.write_table()
    return tmp_path / "run"


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_without_limits_it_says_what_to_release(folder):
    found = run("decide", folder)
    assert found.exit_code == 0
    assert found.stdout.startswith("classification: Within a loss of 0.01 ROC-AUC, take sign")
    assert "PASS" not in found.stdout


def test_where_there_is_one_model_nothing_is_said_to_be_chosen_again(folder):
    """It said "in 100% of repetitions": of one model, always."""
    assert "of repetitions" in run("decide", folder).stdout
    only = run("decide", folder, "--max-drop", 0).stdout
    assert "1 of 4 models keeps within the budget" in " ".join(only.split())
    assert "of repetitions" not in only


def test_limits_judge_the_choice_and_nothing_else(folder):
    kept = run("decide", folder, "--max-leak", 0.25, "--require", "none")
    assert kept.exit_code == 0
    assert "PASS  a (ecfp4, seed 0), sign: largest upper limit of an advantage 0." in kept.stdout
    failed = run("decide", folder, "--max-leak", 0.15, "--require", "none")
    assert failed.exit_code == 1
    assert "FAIL  a (ecfp4, seed 0), sign" in failed.stdout


def test_wrong_limits_are_named_before_that_no_model_predicts(tmp_path):
    store = Store.open(tmp_path / "run", small())
    rows = [row(name, 0.1, 0.5, flags=("no-skill",)) for name in ("none", "sign")]
    store.save("x-0123456789abcdef-fedcba9876543210", cell(rows))
    store.write_table()
    for option, value, said in (("--max-leak", 5, "an advantage lies"), ("--max-drop", 5, "must be at most 1")):
        found = run("decide", tmp_path / "run", option, value)
        assert found.exit_code == 2
        assert said in " ".join(found.stderr.split())


def test_all_and_named_quantizers_are_judged_as_asked(folder):
    words = ("--max-leak", 0.25, "--require", "none")
    assert run("decide", folder, *words, "--all").exit_code == 1
    assert run("decide", folder, *words, "--quantizer", "four").exit_code == 1
    assert run("decide", folder, *words, "--quantizer", "sparse").exit_code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("--quantizer", "nonsense"),
        ("--all",),
        ("--junit", "x.xml"),
        ("--metric", "r2"),
        ("--require", "lira"),
        ("--reasons",),
    ],
)
def test_what_is_judged_without_a_limit_is_refused(folder, tmp_path, monkeypatch, words):
    """Nothing was judged and the exit code was 0: no file for the server, and a misspelt name passed."""
    monkeypatch.chdir(tmp_path)
    found = run("decide", folder, *words)
    assert found.exit_code == 2
    assert f"{words[0]} says what is judged" in " ".join(found.stderr.split())
    assert not (tmp_path / "x.xml").exists()


def test_all_beside_a_named_quantizer_is_refused(folder):
    """Of the two --all was forgotten."""
    found = run("decide", folder, "--max-leak", 0.25, "--all", "--quantizer", "sparse")
    assert found.exit_code == 2
    assert "Leave one out" in " ".join(found.stderr.split())


def test_evidence_is_asked_for(folder):
    found = run("decide", folder, "--max-leak", 0.25)
    assert found.exit_code == 1
    assert "was not computed" in found.stdout


def test_choice_and_verdict_as_json_and_the_verdict_for_a_server(folder, tmp_path):
    found = run("decide", folder, "--max-leak", 0.15, "--require", "none", "--json", "--junit", tmp_path / "x.xml")
    plain = json.loads(found.stdout)
    assert plain["recommended"][0]["chosen"] == "sign"
    assert plain["verdict"]["passed"] is False
    assert len(ElementTree.parse(tmp_path / "x.xml").getroot().findall(".//failure")) == 1
    assert json.loads(run("decide", folder, "--json").stdout)["verdict"] is None


def test_former_names_still_work_and_stand_in_no_help(folder):
    gate = run("gate", folder, "--max-advantage", 0.25, "--require", "none")
    assert gate.exit_code == 1
    assert "leaq gate is leaq decide --all now" in " ".join(gate.stderr.split())
    assert "take sign" in run("recommend", folder, "--max-drop", 0.02).stdout
    shown = run("--help").stdout
    assert "│ recommend " not in shown
    assert "│ decide " in shown
    assert "│ gate " not in shown


def test_a_folder_without_skill_can_still_be_judged_but_not_chosen_from(tmp_path):
    store = Store.open(tmp_path / "run", small())
    flags = ("no-skill",)
    store.save(
        "x-0123456789abcdef-fedcba9876543210",
        cell([row("none", 0.9, 0.5, flags=flags), row("sign", 0.9, 0.5, flags=flags)]),
    )
    store.write_table()
    assert run("decide", tmp_path / "run").exit_code == 2
    judged = run("decide", tmp_path / "run", "--max-leak", 0.1, "--all", "--require", "none")
    assert judged.exit_code == 1
    assert "FAIL" in judged.stdout
