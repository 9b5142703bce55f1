"""``leaq audit --every-attack``: every attack by name, exposed records if asked for, the cost beforehand."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from leaq.attacks.lira import Lira
from leaq.cli.main import app
from leaq.data import from_arrays, load
from leaq.pipeline import loss_tables
from leaq.pipeline.cell import AuditConfig
from leaq.reporting.molecule_risk import molecule_risks
from leaq.reporting.records import riskiest_records
from leaq.results import CellResult
from leaq.study import Store
from leaq.training import TrainingConfig
from tests.helpers import require


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def words(rng, tmp_path):
    path = tmp_path / "my.csv"
    frame = pd.DataFrame({"a": rng.normal(size=80).round(4), "b": rng.normal(size=80), "y": rng.permutation(80) % 2})
    frame.to_csv(path, index=False)
    options = ("--epochs", 30, "--replicates", 6, "--shadows", 4, "--quantizers", "sign", "--hidden", "32")
    attacks = ("--attacks", "threshold,lira,lira(shadows=full_precision)", "--every-attack")
    return ("audit", path, "--target", "y", *attacks, *options)


def test_tables_name_attackers_game_and_gap_but_no_record(words):
    result = run(*words)
    assert result.exit_code == 0, result.output
    for text in (
        "LiRA",
        "LiRA, not adaptive",
        "Game pool",
        "8 shadow models",
        "no proof of privacy",
        "Gap",
    ):
        assert text in result.stdout
    assert "exposed" not in result.stdout
    assert "a=" not in result.stdout
    assert "Attacks 6 models with 8 shadow models each" in " ".join(result.stderr.split())


def test_the_flag_shows_records_and_nothing_else_does(words):
    found = run(*words, "--show-records", "--quiet")
    assert found.exit_code == 0, found.output
    assert "The 10 records most exposed in full precision" in found.stdout
    assert "a=" in found.stdout
    assert "a=" not in run(*words, "--quiet").stdout


def test_records_and_json_exclude_each_other(words):
    found = run(*words, "--show-records", "--json")
    assert found.exit_code == 2
    assert "--json prints aggregates" in found.stderr


def test_what_is_missing_for_exposed_records_is_named(words):
    words = [
        word
        for word in words
        if word not in ("--attacks", "threshold,lira,lira(shadows=full_precision)", "--every-attack")
    ]
    found = run(*words, "--attacks", "threshold", "--show-records", "--quiet")
    assert found.exit_code == 0
    assert "expected to be most exposed" in found.stdout  # the forecast alone tells them
    few = run(*words, "--attacks", "threshold", "--replicates", 2, "--shadows", 0, "--show-records", "--quiet")
    assert few.exit_code == 0
    assert "found by LiRA. Name lira in --attacks" in " ".join(few.stderr.split())


def test_molecules_without_a_run_folder_are_listed_but_not_drawn(tmp_path):
    smiles = ["C" * (i // 3 + 1) + "ONF"[i % 3] for i in range(60)]
    pd.DataFrame({"smiles": smiles, "y": np.arange(60) % 2}).to_csv(tmp_path / "m.csv", index=False)
    options = ("--epochs", 2, "--replicates", 8, "--shadows", 0, "--quantizers", "sign", "--hidden", "8", "--quiet")
    data = ("--smiles", "smiles", "--target", "y", "--embedder", "descriptors")
    found = run("audit", tmp_path / "m.csv", *data, *options, "--attacks", "lira", "--show-records")
    assert found.exit_code == 0, found.output
    assert "CCO" in found.stdout
    assert "With a run folder (--out)" in " ".join(found.stderr.split())


def test_options_of_one_name_have_one_meaning():
    commands = get_command(app).commands
    told = {name: {o.opts[0]: getattr(o, "help", None) for o in commands[name].params} for name in commands}
    shown = ("show-records", "lambda", "every-attack", "report", "card", "exports", "internal", "json")
    for other, least in (("show", shown), ("protect", ("quantizers", "shadows", "data-dir", "quiet"))):
        both = set(told["audit"]) & set(told[other])
        assert both >= {f"--{name}" for name in least}
        assert {name for name in both - {"--out"} if told["audit"][name] != told[other][name]} == set()


def test_json_is_a_result_that_reads_back(words):
    found = run(*words, "--json")
    result = CellResult.from_json(found.stdout)
    attack = result.rows[1].attacks["lira"]
    assert attack.auc.n == 6 * 80
    assert attack.epsilon.unit == "guesses"
    assert result.rows[1].measures["adaptive_gap"].unit == "record-model pairs"
    plain = json.loads(found.stdout)
    for row in plain["rows"]:
        for item in row["attacks"].values():
            item.pop("epsilon", None)  # written by a version that had none
    assert CellResult.from_json(json.dumps(plain)).rows[1].attacks["lira"].epsilon is None


def test_an_unknown_attack_is_refused_before_the_work(words):
    result = run(*words, "--attacks", "lyra")
    assert result.exit_code == 2
    assert "Unknown attack 'lyra'" in result.stderr


def test_loss_tables_do_not_depend_on_chunks_and_nothing_is_taken_from_another_call():
    def tables(chunk, quantizers=("sign",), seed=0):
        training = TrainingConfig(hidden=(8,), epochs=2, chunk=chunk, checkpoints=1)
        options = {"quantizers": quantizers, "replicates": 6, "seed": seed, "training": training}
        return loss_tables(AuditConfig(source="wine", **options))

    parts, whole, other = tables(4), tables(6), tables(4, ("uniform(bits=4)",), seed=1)
    for name in ("none", "sign"):
        np.testing.assert_allclose(parts[name].losses, whole[name].losses, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(parts[name].members, whole[name].members)
    assert sorted(other) == ["none", "uniform(bits=4)"]
    assert not np.allclose(other["none"].losses, parts["none"].losses)
    assert Lira()(parts["sign"]).attack == "lira"


@pytest.mark.parametrize("kind", ["table", "molecules"])
def test_every_list_of_records_names_the_row_of_data_that_holds_them(kind, rng, tmp_path):
    """Row 17 is the 17th below the header, in what is printed, in the internal report and on the page of molecules."""
    frame = pd.DataFrame({"a": rng.permutation(60) + 0.5, "b": 2 * rng.permutation(60), "y": rng.permutation(60) % 2})
    options = ["--target", "y"]
    if kind == "molecules":
        require("rdkit")
        frame = pd.DataFrame({"smiles": [f"{'C' * (i + 2)}O" for i in rng.permutation(60)], "y": frame["y"]})
        options += ["--smiles", "smiles", "--embedder", "maccs"]
    frame.to_csv(tmp_path / "rows.csv", index=False)
    small = ("--quantizers", "sign", "--replicates", 8, "--shadows", 0, "--epochs", 2, "--hidden", 8, "--quiet")
    out = tmp_path / "run"
    found = run("audit", tmp_path / "rows.csv", *options, *small, "--out", out, "--show-records")
    assert found.exit_code == 0, found.output
    text = found.stdout[found.stdout.index("records most exposed") :]
    listed = dict(re.findall(r"^\s*(\d+) .*?(a=\S+ b=\S+|C+O)\s*$", text, re.MULTILINE))
    assert len(listed) == 10
    for row, record in listed.items():
        truth = frame.iloc[int(row) - 1]
        assert record == (truth["smiles"] if kind == "molecules" else f"a={truth['a']:g}, b={truth['b']:g}")
    [result] = Store(out).with_risks()
    assert [row for row, *_ in riskiest_records(result).rows][:10] == list(listed)
    if kind == "molecules":
        assert all(one.smiles == frame["smiles"][one.row - 1] for one in molecule_risks(result).records)


def test_arrays_and_made_up_records_are_numbered_from_one():
    for samples in (load("wine"), load("mixture(modes=2, d=3, n=40)"), from_arrays(np.eye(20), np.arange(20) % 2)):
        assert (samples.ids.min(), samples.ids.max()) == (1, len(samples))
