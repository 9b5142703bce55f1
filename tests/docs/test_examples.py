"""Every Python block and every `leaq` command in README.md and docs/ is run, file by file, from top to bottom.

Commands that train are run with few epochs and models, so that a page takes seconds; the words are the page's own.
A block that cannot run here is marked by a line ``<!-- not run: reason -->`` above its fence.
"""

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from leaq.cli.main import app
from leaq.system.files import is_model

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"(?P<before>^[^\n]*\n)?^```(?P<kind>python|console)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
QUICK = ["--epochs", "40", "--learning-rate", "0.02", "--hidden", "8", "--quiet"]
FEW = ["--quantizers", "sign,uniform(bits=4)"]
"""Of audits of records that name none; the first one of a page has all that audits have by default."""
SMALL = {
    "audit": [*QUICK, "--replicates", "4"],
    "protect": [*QUICK, "--replicates", "8", "--quantizers", "sign,sparse_refit(sparsity=0.5)", "--max-drop", "1"],
}


def blocks(page):
    for found in FENCE.finditer(page.read_text()):
        if not (found["before"] or "").startswith("<!-- not run:"):
            yield found["kind"], found["body"], page.read_text()[: found.start()].count("\n") + 2


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A working folder with the files the pages speak of."""
    rng = np.random.default_rng(0)
    smiles = ["C" * (i // 3 + 1) + "ONF"[i % 3] for i in range(60)]  # all different: repeats are refused
    frame = pd.DataFrame({"smiles": smiles, "a": rng.normal(size=60), "b": rng.normal(size=60)})
    table = frame.assign(y=np.arange(60) / 10 + frame["a"] + rng.normal(size=60) / 4)  # chains and columns tell it
    table.to_csv(tmp_path / "my.csv", index=False)
    table[::2].to_csv(tmp_path / "members.csv", index=False)
    table.assign(smiles=["N" + one for one in smiles]).to_csv(tmp_path / "public.csv", index=False)
    _models(tmp_path)
    monkeypatch.delitem(sys.modules, "nets", raising=False)  # of another test's folder
    monkeypatch.setattr("typer.launch", lambda _place: None)
    monkeypatch.chdir(tmp_path)
    return tmp_path


NETS = """
from torch import nn
def make(features=2, outputs=1):
    return nn.Sequential(nn.Linear(features, 8), nn.ReLU(), nn.Linear(8, outputs))
"""
TRAIN = """
import torch
from nets import make
def train(records, seed):
    x = torch.tensor(records.inputs, dtype=torch.float32)
    y = torch.tensor(records.targets, dtype=torch.float32)
    net = make(x.shape[1], 1)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        ((net(x).squeeze(1) - y) ** 2).mean().backward()
        optimizer.step()
    return net
"""


def _models(folder):
    """A network, its training, and a file that is released; records that trained a finished one, and others."""
    (folder / "nets.py").write_text(NETS)
    (folder / "train.py").write_text(TRAIN)
    rng = np.random.default_rng(1)
    net = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    save_file(net.state_dict(), folder / "model.safetensors")
    for name in ("a", "b"):
        x = rng.normal(size=(30, 2)).astype(np.float32)
        np.savez(folder / f"{name}.npz", x=x, y=x[:, 0] + rng.normal(size=30))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page(page, desk):
    names: dict[str, object] = {"__name__": "__page__"}
    audits = 0
    for kind, body, line in blocks(page):
        if kind == "python":
            exec(compile("\n" * line + body, str(page), "exec"), names)
            continue
        for command in re.findall(r"^\$ leaq (.*)$", body, re.MULTILINE):
            words = shlex.split(command, comments=True)
            finished = words[1:2] and is_model(words[1])  # nothing is trained, so nothing can be made small
            more = [] if finished else list(SMALL.get(words[0], []))
            if words[0] == "audit" and not finished:
                audits += 1
                more += ["--jobs", "1"] * ("--jobs" in words)  # processes have tests of their own, each of which waits
                more += FEW if audits > 1 and "--quantizers" not in words and not words[1].endswith(".toml") else []
            result = CliRunner().invoke(app, [*words, *more])
            assert result.exit_code == 0, f"{page.name}:{line} leaq {command}\n{result.output}\n{result.exception!r}"


def test_a_wrong_block_is_caught(tmp_path):
    page = tmp_path / "page.md"
    crash = "```python\n1 / 0\n```\n"
    page.write_text(f"x\n\n```python\nx = 1\n```\n\n{crash}\n<!-- not run: shows a crash -->\n{crash}")
    found = list(blocks(page))
    assert [(kind, body, line) for kind, body, line in found] == [("python", "x = 1\n", 3), ("python", "1 / 0\n", 7)]
    with pytest.raises(ZeroDivisionError):
        exec(found[1][1], {})
