"""leaq audit --effort forecast: ordered by the forecast, rows at risk only if asked for, none without a forecast."""

import json

import pytest
from typer.testing import CliRunner

from leaq.cli.main import app

QUICK = ("wine", "--quantizers", "sign", "--hidden", "8", "--epochs", "2", "--quiet")


def run(*more):
    return CliRunner().invoke(app, ["audit", *QUICK, "--effort", "forecast", "--attacks", "threshold", *more])


@pytest.fixture(scope="module")
def shown():
    return run("--replicates", "4", "--show-records")


def test_it_prints_every_quantizer_and_says_that_nothing_was_attacked(shown):
    assert shown.exit_code == 0, shown.output
    text = " ".join(shown.output.split())
    assert "sign" in text
    assert "full precision" in text
    assert "It is no measurement" in text
    assert "Nothing was attacked with it here" in text


def test_rows_expected_to_be_exposed_come_when_asked_for(shown):
    assert "expected to be most exposed" in shown.output
    assert "a hint where to look" in " ".join(shown.output.split())


def test_json_holds_the_forecast_and_no_record():
    found = run("--replicates", "4", "--json")
    plain = json.loads(found.stdout)
    measures = plain["rows"][1]["measures"]
    assert measures["forecast"]["kind"] == "estimate"
    assert {"low", "high", "n", "flags"} <= set(measures["forecast"])
    assert "forecast_gap" not in measures  # the attack was not run
    assert "private" not in plain


def test_too_few_models_are_refused_in_words():
    found = run("--replicates", "2")
    assert found.exit_code == 2
    assert "at least 4 replicates. Found 2" in " ".join(found.output.split())
