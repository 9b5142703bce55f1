"""leaq lambda: the curve with its bands and a verdict, as a table and as JSON; what is refused."""

import json

import pytest
from typer.testing import CliRunner

from leaq.cli.main import app

SMALL = ("--epochs", "2", "--replicates", "4", "--checkpoints", "4", "--quantizers", "sign", "--quiet")


def run(*words):
    return CliRunner().invoke(app, ["lambda", *words])


def refused(*words):
    result = run(*words)
    assert result.exit_code == 2, result.output
    return " ".join((str(result.exception) + result.output).split())


@pytest.fixture(scope="module")
def said():
    table, plain = run("wine", *SMALL), run("wine", *SMALL, "--json")
    assert table.exit_code == plain.exit_code == 0, table.output + plain.output
    return table.stdout, json.loads(plain.stdout)


def test_the_table_has_a_band_for_every_k_and_a_verdict_for_every_quantizer(said):
    table, plain = said
    assert table.startswith("lambda_k against k")
    assert table.count("[") == sum(len(one["x"]) for one in plain)
    for one in plain:
        assert one["statement"] in " ".join(table.split())


def test_json_holds_curve_band_maximum_and_verdict(said):
    _, plain = said
    assert [one["quantizer"] for one in plain] == ["none", "sign"]
    for one in plain:
        assert len(one["x"]) == len(one["y"]) == len(one["low"]) == len(one["high"])
        assert all(low <= y <= high for low, y, high in zip(one["low"], one["y"], one["high"], strict=True))
        assert one["k_max"] == one["x"][one["y"].index(max(one["y"]))]
        assert one["verdict"] in ("low k", "not at low k", "undecided")
        assert f"k = {one['k_max']} of" in one["statement"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("wines",), "Did you mean 'wine'?"),
        (("wine", "--quantizers", "sgn"), "Did you mean 'sign'?"),
        (("wine", "--checkpoints", "0"), "checkpoints"),
        (("wine", "--epochs", "-1"), "epochs"),
        (("wine", "--replicates", "1"), "replicates"),
        (("none.csv", "--target", "y"), "There is no file"),
    ],
)
def test_what_is_wrong_is_named(words, why):
    assert why in refused(*words)


def test_a_single_checkpoint_has_no_curve(said):
    """One candidate is compared with nothing: an empty list, not a flat curve."""
    small = ("--epochs", "2", "--replicates", "4", "--checkpoints", "1", "--quantizers", "sign", "--quiet")
    found = run("wine", *small, "--json")
    assert (found.exit_code, json.loads(found.stdout)) == (0, [])
