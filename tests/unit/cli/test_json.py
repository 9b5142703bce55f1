"""--json: on every command that prints a result, and then one document that a strict parser reads."""

import json

import click
import pytest
import torch
from safetensors.torch import save_file
from typer.main import get_command
from typer.testing import CliRunner

from leaq.cli.main import app
from leaq.study import run_study
from tests.unit.study.small import small


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def refuse(name):
    raise AssertionError(f"{name} is not JSON")


def plain(*words, code=0):
    result = run(*words, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout, parse_constant=refuse)


def leaves(group, path=()):
    for name, command in group.commands.items():
        if isinstance(command, click.Group) or hasattr(command, "commands"):
            yield (*path, name), command
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(leaves(get_command(app)))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_that_prints_a_result_has_it(path):
    options = {option for one in COMMANDS[path].params for option in one.opts}
    assert "--json" in options, path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("json") / "run"
    run_study(small(data=("wine",), seeds=(0,), quantizers=("sign", "uniform(bits=4)")), found)
    return found


def test_lists_of_what_there_is():
    assert {one["name"] for one in plain("list", "quantizers")} >= {"sign", "ternary"}
    explained = plain("list", "quantizers", "ternary")
    assert (explained["levels"], explained["options"][0]["name"]) == ("3", "sparsity")
    assert {one["name"] for one in plain("list", "embedders")} >= {"identity", "ecfp4"}
    assert {one["name"] for one in plain("list", "datasets")} >= {"wine", "freesolv"}


def test_what_a_run_folder_says(folder):
    assert plain("show", folder)["data"]["name"] == "wine"
    what = {one["place"]: one["shareable"] for one in plain("show", folder, "--what")}
    assert (what["cells"], what["private"]) == (True, False)
    [recommended] = plain("decide", folder, "--max-drop", 1)["recommended"]
    assert recommended["task"] == "classification"
    assert sorted(recommended["allowed"] + recommended["refused"]) == ["none", "sign", "uniform(bits=4)"]
    assert plain("clean", folder, "--dry-run")["files"] > 0


def test_the_verdict_of_a_gate_and_its_exit_code(folder):
    assert plain("decide", folder, "--all", "--max-leak", 1, "--require", "none")["verdict"]["passed"] is True
    failed = plain("decide", folder, "--all", "--max-leak", 0.0, "--min-metric", 1, code=1)["verdict"]
    assert failed["passed"] is False
    assert failed["reasons"]


def test_what_is_trained_for_it():
    small_run = ("--epochs", 2, "--replicates", 4, "--quantizers", "sign")
    rows = plain("audit", "wine", *small_run, "--checkpoints", 4, "--lambda")["rows"]
    assert [one["quantizer"] for one in rows] == ["none", "sign"]
    assert len(rows[1]["curves"]["lambda_k"]["x"]) == len(rows[1]["curves"]["lambda_k"]["low"])
    protected = plain("protect", "wine", "--epochs", 2, "--replicates", 8, "--quantizers", "sign", "--max-drop", 1)
    assert {one["quantizer"] for one in protected["tried"]} == {"none", "sign"}
    assert protected["audit"]["rows"][0]["quantizer"] == "none"


def test_a_packed_file(tmp_path):
    save_file({"a.weight": torch.randn(4, 6)}, tmp_path / "model.safetensors")
    out = tmp_path / "packed.safetensors"
    found = plain("protect", tmp_path / "model.safetensors", "--with", "sign", "--out", out)
    assert (found["file"], found["quantizer"], found["tensors"]) == (str(out), "sign", 1)


def test_a_plan(tmp_path):
    (tmp_path / "s.toml").write_text(small(data=("wine",)).to_toml())
    result = run("audit", tmp_path / "s.toml", "--out", tmp_path / "run", "--plan", "--json-lines")
    assert json.loads(result.stdout)["cells"] == 2
