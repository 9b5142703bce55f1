"""The chemprop tutorial, from the training to the card, run from top to bottom against chemprop itself."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from leaq.cli.main import app
from tests.helpers import require

pytest.importorskip("chemprop", reason="chemprop is not installed (the extra chemprop)")
PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "chemprop.md"
FENCE = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FEW = ("--epochs 50", "--epochs 3")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_every_step_of_the_page_runs(tmp_path, monkeypatch):
    require("rdkit")
    monkeypatch.chdir(tmp_path)
    chains = [f"{'C' * n}{tail}" for n in range(1, 31) for tail in ("O", "N", "Cl", "C(=O)O")]
    pd.DataFrame({"smiles": chains, "y": [len(text) / 3 for text in chains]}).to_csv("all.csv", index=False)
    names: dict[str, object] = {"__name__": "__page__"}
    ran = []
    for kind, body in FENCE.findall(PAGE.read_text()):
        if kind == "python":
            exec(compile(body, str(PAGE), "exec"), names)
            continue
        for line in re.findall(r"^\$ (.*)$", body, re.MULTILINE):
            program, *words = shlex.split(line.replace(*FEW))
            ran.append(f"{program} {words[0]}")
            if program == "chemprop":
                command = [sys.executable, "-c", "from chemprop.cli.main import main; main()", *words, "-q"]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                assert done.returncode == 0, done.stderr
                continue
            quick = ["--quiet"] if words[1] == "out" else ["--replicates", "8", "--epochs", "3", "--quiet"]
            more = quick if words[0] == "audit" else []
            found = CliRunner().invoke(app, [*words, *more])
            assert found.exit_code == 0, f"{line}\n{found.output}\n{found.exception!r}"
    assert ran == ["chemprop train", "leaq audit", "leaq audit", "leaq show"]
    assert "Membership privacy of all" in Path("card.md").read_text()
    assert len(list(Path("out").rglob("best.pt"))) == 2
