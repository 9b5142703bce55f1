"""action.yml: its inputs are options of the gate, and its script runs the gate with them as data, never as code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from leaq.cli.main import app

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
INSTALL, GATE = ACTION["runs"]["steps"]


def test_every_input_but_the_run_and_the_installation_is_an_option_of_the_gate():
    known = {flag for one in get_command(app).commands["decide"].params for flag in one.opts}
    inputs = set(ACTION["inputs"]) - {"run", "install"}
    assert {f"--{name}" for name in inputs} <= known
    assert set(GATE["env"]) == {name.upper().replace("-", "_") for name in {*inputs, "run"}}


def test_no_value_is_put_into_the_text_of_a_script():
    assert all("${{" not in step["run"] for step in (INSTALL, GATE))


@pytest.fixture
def calls(tmp_path):
    """Run the script with an interpreter that only writes down how it is called."""
    stand_in = tmp_path / "bin" / "python"
    stand_in.parent.mkdir()
    stand_in.write_text(f"#!{sys.executable}\nimport sys\nprint(sys.argv[1:])\n")
    stand_in.chmod(0o755)

    def run(**values):
        given = {name: "" for name in GATE["env"]} | values
        path = f"{stand_in.parent}{os.pathsep}{os.environ['PATH']}"
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", GATE["run"]]
        return subprocess.run(
            command, env={**os.environ, "PATH": path, **given}, capture_output=True, text=True, check=True
        ).stdout.strip()

    return run


def test_the_script_calls_the_gate_with_what_was_given(calls):
    found = calls(RUN="runs/my run", MAX_ADVANTAGE="0.1", QUANTIZER="uniform(bits=4); rm -rf /", JUNIT="x.xml")
    words = ["-m", "leaq", "decide", "runs/my run", "--max-advantage", "0.1"]
    assert found == str([*words, "--quantizer", "uniform(bits=4); rm -rf /", "--junit", "x.xml"])


def test_without_a_quantizer_every_one_is_judged(calls):
    assert calls(RUN="runs/x", MAX_ADVANTAGE="0.1").endswith("'--max-advantage', '0.1', '--all']")
