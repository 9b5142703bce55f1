"""`leaq list attacks`."""

import json

from typer.testing import CliRunner

from leaq.attacks.registry import attack_families, build_attack
from leaq.cli.main import app


def run(*words):
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "400"})


def test_every_attack_is_listed_with_what_it_is():
    result = run("list", "attacks")
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    for spec in attack_families()["all"]:
        attack = build_attack(spec)
        [line] = [line for line in lines if line.startswith(f"{spec} {attack.explain()}")]
        assert attack.source in line
        assert ("the released file" in line) == (attack.access == "file")


def test_json_holds_every_attack():
    found = {item["spec"]: item for item in json.loads(run("list", "attacks", "--json").stdout)}
    assert tuple(found) == attack_families()["all"]
    assert found["combined"]["families"] == ["default", "all"]
    assert found["lira(shadows=full_precision)"]["needs"] == ["shadows", "scores", "reference"]
    assert found["whitebox"]["holds"] == "the released file"


def test_one_attack_is_explained_by_an_older_name_too():
    result = run("list", "attacks", "rmia(mode=offline)")
    assert result.stdout.startswith("rmia(mode=offline): offline RMIA with equally quantized shadow models")
    assert "In the families: all." in result.stdout
    assert json.loads(run("list", "attacks", "rmia(mode=offline)", "--json").stdout)["source"] == "arXiv 2312.03262v3"
    assert "In the families: none." in run("list", "attacks", "rmia(gamma=3)").stdout


def test_an_unknown_attack_names_the_closest():
    result = run("list", "attacks", "lyra")
    assert result.exit_code == 2
    assert "Did you mean 'lira'" in " ".join(result.stderr.split())
