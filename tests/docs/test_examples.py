"""Every Python block and every `leaq` command in README.md and docs/ is run, file by file, from top to bottom.

Commands that train are run with few epochs and models, so that a page takes seconds; the words are the page's own.
A block that cannot run here is marked by a line ``<!-- not run: reason -->`` above its fence.
"""

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from leaq.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"(?P<before>^[^\n]*\n)?^```(?P<kind>python|console)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
SMALL = {"audit": ["--epochs", "2", "--replicates", "4", "--hidden", "8", "--quiet"]}


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
    frame.assign(y=frame["a"] + rng.normal(size=60)).to_csv(tmp_path / "my.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page(page, desk):
    names: dict[str, object] = {"__name__": "__page__"}
    for kind, body, line in blocks(page):
        if kind == "python":
            exec(compile("\n" * line + body, str(page), "exec"), names)
            continue
        for command in re.findall(r"^\$ leaq (.*)$", body, re.MULTILINE):
            words = shlex.split(command, comments=True)
            result = CliRunner().invoke(app, [*words, *SMALL.get(words[0], [])])
            assert result.exit_code == 0, f"{page.name}:{line} leaq {command}\n{result.output}\n{result.exception!r}"


def test_a_wrong_block_is_caught(tmp_path):
    page = tmp_path / "page.md"
    crash = "```python\n1 / 0\n```\n"
    page.write_text(f"x\n\n```python\nx = 1\n```\n\n{crash}\n<!-- not run: shows a crash -->\n{crash}")
    found = list(blocks(page))
    assert [(kind, body, line) for kind, body, line in found] == [("python", "x = 1\n", 3), ("python", "1 / 0\n", 7)]
    with pytest.raises(ZeroDivisionError):
        exec(found[1][1], {})
