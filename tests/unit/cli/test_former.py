"""Verbs of version 0.1: every one is read as what does its work now, says so, and stands in no help."""

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from leaq.cli.former import FORMER, today
from leaq.cli.main import app


@pytest.mark.parametrize(
    ("line", "now"),
    [
        ("attack x.csv --target y", "audit x.csv --target y --shadows 16 --attacks all --every-attack"),
        ("forecast wine", "audit wine --attacks threshold --checkpoints 1 --effort forecast"),
        ("run s.toml --out r --workers 3", "audit s.toml --out r --jobs 3"),
        ("lambda wine --replicates 4", "audit wine --replicates 4 --quantizers study --attacks threshold --lambda"),
        ("audit-model m.onnx --keep-overlap", "audit m.onnx --overlap keep"),
        ("report runs/x", "show runs/x --report runs/x/report.html"),
        ("report runs/x/ --card c.md x.html --open", "show runs/x/ --report x.html --card c.md --open"),
        ("report runs/x --profile edpb", "show runs/x --profile edpb"),
        ("report runs/x f.html --profile=edpb", "show runs/x --report f.html --profile=edpb"),
        ("report --help", "show --help"),
        ("recommend runs/x --max-drop 1", "decide runs/x --max-drop 1"),
        ("gate runs/x --max-advantage 0.1 --all", "decide runs/x --max-advantage 0.1 --reasons --all"),
        ("quantize m.safetensors --with sign --out p", "protect m.safetensors --with sign --out p"),
        ("quantizers ternary", "list quantizers ternary"),
        ("attacks", "list attacks"),
        ("embedders --json", "list embedders --json"),
        ("datasets", "list datasets"),
        ("datasets get herg", "get herg"),
    ],
)
def test_a_former_verb_is_read_as_todays(line, now):
    words, said = today(line.split())
    assert words == now.split()
    assert said.startswith(f"leaq {line.split()[0]} is leaq {words[0]}")


def test_todays_verbs_are_left_alone_and_former_ones_are_in_no_help():
    names = set(get_command(app).commands)
    assert not names & set(FORMER)
    for name in names:
        assert today([name, "attack", "--report"]) == ([name, "attack", "--report"], "")


@pytest.mark.parametrize("name", FORMER)
def test_the_help_of_a_former_verb_is_todays(name):
    found = CliRunner().invoke(app, [name, "--help"])
    assert found.exit_code == 0, found.output
    assert f"leaq {name} is leaq" in " ".join(found.stderr.split())
    assert "Usage" in found.stdout


def test_it_does_its_work():
    found = CliRunner().invoke(app, ["attacks", "lira"])
    assert found.stdout == CliRunner().invoke(app, ["list", "attacks", "lira"]).stdout
    assert found.stderr.strip() == "leaq attacks is leaq list attacks now; this name goes in version 0.3."
