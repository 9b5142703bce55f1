"""What is printed of a result: the same after an audit and from its run folder."""

import numpy as np
import pytest
from typer.testing import CliRunner

from leaq.cli.main import app
from tests.unit.cli.cases import SMALL, run


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


def test_a_single_checkpoint_has_no_curve(tmp_path):
    """One candidate is compared with nothing: said, and no flat curve drawn."""
    found = run("audit", "wine", *SMALL, "--checkpoints", "1", "--lambda", "--out", tmp_path / "run")
    assert "No lambda_k to show" in " ".join(found.stderr.split())
    assert "lambda_k against k" not in found.stdout


RECORDS = [
    "--replicates",
    "8",
    "--quantizers",
    "sign",
    "--attacks",
    "lira",
    "--draws",
    "20",
    "--quiet",
    "--show-records",
]
TRAIN = """
import torch
from torch import nn
def train(records, seed):
    torch.manual_seed(seed)
    x, y = torch.tensor(records.inputs, dtype=torch.float32), torch.tensor(records.targets)
    model = nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 32), nn.ReLU(), nn.Linear(32, 2))
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(80):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model
"""


@pytest.fixture
def here(tmp_path, monkeypatch, rng):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(TRAIN)
    np.savez("images.npz", x=rng.normal(size=(60, 1, 3, 3)), y=rng.permutation(np.arange(60) % 2))


@pytest.mark.usefixtures("here")
def test_images_are_shown_by_their_first_numbers():
    found = CliRunner().invoke(app, ["audit", "images.npz", "--target", "y", *RECORDS, "--recipe", "train.py:train"])
    assert found.exit_code == 0, found.output
    assert "0=" in found.output


def test_texts_are_shown_and_long_ones_cut(rng):
    from leaq.cli.screen import LETTERS, _texts
    from leaq.data import load

    shown = _texts(load(["short", "w " * 100, {"prompt": "a", "completion": "b"}]))
    assert shown[1] == "short"
    assert shown[2] == ("w " * 100)[:LETTERS] + " ..."
    assert shown[3] == "a | b"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("here")
def test_of_a_finished_model_none_is_told(rng):
    import torch

    torch.jit.script(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(9, 2))).save("m.ts")
    x, y = rng.normal(size=(80, 1, 3, 3)).astype(np.float32), np.arange(80) % 2
    np.savez("a.npz", x=x[:40], y=y[:40])
    np.savez("b.npz", x=x[40:], y=y[40:])
    words = ["audit", "m.ts", "--members", "a.npz", "--nonmembers", "b.npz", "--quantizers", "none"]
    found = CliRunner().invoke(app, [*words, "--show-records", "--quiet"])
    assert found.exit_code == 0, found.output
    assert "No exposed records to show. It takes shadow models" in " ".join(found.output.split())
