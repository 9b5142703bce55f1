"""What is printed of a result: the same after an audit and from its run folder."""

import json

import pytest
from typer.testing import CliRunner

from leaq.cli.main import app

SMALL = ("--epochs", "2", "--replicates", "4", "--checkpoints", "4", "--quantizers", "sign", "--hidden", "8", "--quiet")


def run(*words):
    found = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})
    assert found.exit_code == 0, found.output
    return found


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("screen") / "run"
    words = ("--lambda", "--every-attack", "--out", folder)
    return folder, run("audit", "wine", *SMALL, *words).stdout, json.loads(run("show", folder, "--json").stdout)


def test_a_run_folder_shows_what_the_audit_printed(kept):
    folder, printed, _ = kept
    again = run("show", folder, "--lambda", "--every-attack").stdout
    assert again.split() == printed.split()


def test_the_table_of_lambda_has_a_band_for_every_k_and_a_verdict_for_every_quantizer(kept):
    _, printed, plain = kept
    table = printed[printed.index("lambda_k against k") :]
    curves = [row["curves"]["lambda_k"] for row in plain["rows"]]
    assert table.count("[") == sum(len(one["x"]) for one in curves)
    assert " ".join(table.split()).count("the largest lambda_k is at k =") == len(curves) == 2


def test_every_attack_is_a_row_and_says_its_game(kept):
    _, printed, _ = kept
    assert "what each attack finds" in printed
    assert "Game pool" in printed


def test_more_is_printed_only_if_asked_for(kept):
    printed = run("show", kept[0]).stdout
    assert "lambda_k against k" not in printed
    assert "what each attack finds" not in printed


def test_a_single_checkpoint_has_no_curve(tmp_path):
    """One candidate is compared with nothing: said, and no flat curve drawn."""
    found = run("audit", "wine", *SMALL, "--checkpoints", "1", "--lambda", "--out", tmp_path / "run")
    assert "No lambda_k to show" in " ".join(found.stderr.split())
    assert "lambda_k against k" not in found.stdout


def test_a_forecast_is_shown_again_as_it_was(tmp_path):
    words = ("audit", "wine", "--attacks", "threshold", "--replicates", "4", "--quantizers", "sign", "--epochs", "2")
    first = run(*words, "--hidden", "8", "--quiet", "--out", tmp_path / "run").stdout
    assert "what the attack is expected to find" in first
    assert run("show", tmp_path / "run").stdout.split() == first.split()
