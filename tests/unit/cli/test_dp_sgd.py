"""`leaq audit --dp-sgd`: private heads in the same table and picture, everything about the guarantee said."""

import json

import pytest
import torch
from typer.testing import CliRunner

import leaq
from leaq.cli.main import app
from leaq.errors import InvalidInput
from leaq.types import Estimate
from tests.helpers import require

FAST = ["audit", "wine", "--quantizers", "sign", "--replicates", "2", "--hidden", "4", "--epochs", "1"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    require("opacus")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "250")

    def call(*words):
        return CliRunner().invoke(app, [*FAST, *words], catch_exceptions=False)

    return call


def test_private_rows_stand_in_table_and_picture_with_what_they_guarantee(run, tmp_path):
    require("altair")
    done = run("--dp-sgd", "8,inf", "--report", "x.html", "--out", "run")
    assert done.exit_code == 0, done.output
    assert "DP-SGD ε=8" in done.output
    assert "DP-SGD ε=∞" in done.output
    for said in ("δ=0.0011", "Poisson sampling", "PRV accountant", "one record more or less", "no guarantee"):
        assert said in done.output
    again = run("--dp-sgd", "8,inf", "--out", "run")
    assert again.stdout.split("Run folder")[0] == done.stdout.split("Report:")[0]  # kept with the others
    page = (tmp_path / "x.html").read_text()
    picture = page[page.index("<svg") : page.index("</svg>")]
    assert "DP-SGD ε=8" in picture
    assert "sign" in picture


def test_a_result_holds_the_same_numbers(run):
    done = run("--yardstick", "--epsilons", "inf", "--json")  # its name in version 0.1
    rows = {row["quantizer"]: row for row in json.loads(done.stdout)["rows"]}
    assert {"none", "sign", "dp_sgd(epsilon=inf)"} == set(rows)


@pytest.mark.parametrize("text", ["0,1", "one", "-3", "nan"])
def test_privacy_losses_that_are_none_are_refused_before_anything_is_trained(run, text):
    done = run("--dp-sgd", text)
    assert done.exit_code == 2
    assert "dp_sgd must be positive numbers or inf, such as 1,3,8,inf" in done.output


def test_a_network_of_ones_own_is_refused():
    require("opacus")
    with pytest.raises(InvalidInput, match="Train it privately in a recipe"):
        leaq.audit("wine", model=lambda: torch.nn.Linear(13, 3), quantizers="sign", dp_sgd=("1",), replicates=2)


@pytest.mark.slow
def test_the_default_set_as_a_whole():
    """Four budgets, spent and not exceeded; less noise predicts no worse; every attack stays below its bound."""
    require("opacus")
    import math

    from leaq.pipeline import audit
    from leaq.pipeline.cell import AuditConfig
    from leaq.training import TrainingConfig

    training = TrainingConfig(hidden=(16,), epochs=20)
    options = {"quantizers": ("sign",), "replicates": 4, "draws": 100, "dp_sgd": ("1", "3", "8", "inf")}
    rows = audit(AuditConfig(source="breast_cancer", training=training, **options)).rows[2:]
    assert [row.label for row in rows] == ["DP-SGD ε=1", "DP-SGD ε=3", "DP-SGD ε=8", "DP-SGD ε=∞"]
    quality = [row.metrics["roc_auc"] for row in rows]
    assert quality[0].low <= quality[-1].high
    for epsilon, row in zip((1, 3, 8, math.inf), rows, strict=True):
        said = next(flag.text for flag in row.flags if flag.code == "dp-sgd")
        if math.isinf(epsilon):
            continue
        spent = float(said.split("ε=")[-1].rstrip("."))
        assert 0.9 * epsilon < spent <= 1.01 * epsilon
        advantage = row.attacks["threshold"].advantage
        assert isinstance(advantage, Estimate)
        assert advantage.low <= (math.exp(epsilon) - 1 + 2 * 0.1 / 284) / (math.exp(epsilon) + 1)
