"""Networks that chemprop saved, audited from their file and tables of molecules; written here without chemprop."""

import argparse
import re

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import leaq
from leaq.cli.main import app
from leaq.embedders.molgraph import MolGraph
from leaq.errors import InvalidInput
from leaq.models.nets.chemprop import read_chemprop
from leaq.types import Estimate
from tests.helpers import require
from tests.unit.models.nets.test_chemprop import named, written
from tests.unit.pipeline.finished.cases import QUICK, codes

__all__ = ["named"]


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """Molecules with two values and two classes: those that trained a network, and others."""
    require("rdkit")
    rows = [
        (f"{'C' * n}{tail}", n + 0.1 * len(tail), 2.0 * n, n % 2, n % 3 < 2) for n in range(1, 21) for tail in "ONSF"
    ]
    frame = pd.DataFrame(rows, columns=["SMILES", "y", "z", "toxic", "active"]).astype({"active": int})
    frame.loc[::7, ["z", "active"]] = np.nan
    frame[::2].to_csv(tmp_path / "train.csv", index=False)
    frame[1::2].to_csv(tmp_path / "test.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return frame


def audited(source="best.pt", **options):
    return leaq.audit(source, **{"members": "train.csv", "nonmembers": "test.csv", **QUICK, **options})


def flat(found):
    return " ".join(found.output.split())


def test_a_file_and_two_tables_are_all_it_takes(desk, named):
    net = written("best.pt", named)
    words = ["audit", "best.pt", "--members", "train.csv", "--nonmembers", "test.csv", "--quantizers", "sign"]
    found = CliRunner().invoke(app, [*words, "--quiet"])
    assert found.exit_code == 0, found.output
    assert "best was attacked on 40 members and 40 other records (regression)" in flat(found)
    result = audited()
    rows = torch.tensor(MolGraph().encode(desk.SMILES[1::2].tolist()).features)
    errors = (net(rows)[:, 0].detach().double() - torch.tensor(desk.y[1::2].to_numpy())) / desk.y.std(ddof=0)
    assert result.rows[0].metrics["loss"].value == pytest.approx(float((errors**2).mean()), rel=1e-4)
    assert (result.data["features"], "shift_auc" in result.data) == (256, True)  # fingerprints: graphs are no columns


def test_several_targets_are_those_that_the_file_names(desk, named):
    written("best.pt", named, end="BinaryClassificationFFN", tasks=2, columns=("toxic", "active"))
    row = audited().rows[0]
    assert list(row.by_task) == ["toxic", "active"]
    assert isinstance(row.by_task["active"].metrics["roc_auc"], Estimate)
    with pytest.raises(InvalidInput, match="the network predicts 2 targets. Found 1: y. Name them in its order"):
        audited(target="y")
    written("best.pt", named, tasks=2, columns=("y", "gone"))
    with pytest.raises(InvalidInput, match=r"train.csv: there is no column 'gone' .--target."):
        audited()
    assert list(audited(target="z,y").rows[0].by_task) == ["z", "y"]


def test_a_file_that_names_no_columns_takes_all_but_the_smiles(desk, named):
    written("best.pt", named, columns=())
    for name in ("train", "test"):
        pd.read_csv(f"{name}.csv")[["SMILES", "y"]].to_csv(f"{name}.csv", index=False)
    assert isinstance(audited().rows[0].metrics["r2"], Estimate)


def test_an_ensemble_in_a_folder_may_be_of_several_architectures(desk, named, tmp_path):
    for at, hidden in enumerate((4, 6)):
        (tmp_path / "out" / f"model_{at}").mkdir(parents=True)
        written(tmp_path / "out" / f"model_{at}" / "best.pt", named, hidden=hidden)
    assert audited("out").data["n"] == 80
    with pytest.raises(InvalidInput, match="Shadow models of an ensemble are ensembles of one architecture"):
        leaq.audit("train.csv", released="out", members="test.csv")


def test_of_a_file_without_records_what_to_add_is_said(desk, named):
    written("best.pt", named, columns=("toxic",))
    found = CliRunner().invoke(app, ["audit", "best.pt"])
    assert found.exit_code == 2
    assert "a network of chemprop's that predicts toxic (regression)" in flat(found)
    assert "Missing: members and nonmembers" in flat(found)
    assert "leaq audit best.pt --members train.csv --nonmembers test.csv" in flat(found)
    assert "leaq audit all.csv --released best.pt --members train.csv" in flat(found)
    refused = CliRunner().invoke(app, ["audit", "best.pt", "--members", "train.csv"])
    assert "Missing: nonmembers." in flat(refused)


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"SMILES": ["C1CC", "CCO>>CCN"]}, {}, "a record must be one molecule. Found 1 reactions"),
        ({"SMILES": ["C1CC", "nothing"]}, {}, r"train.csv: SMILES that cannot be read in 2 rows \(1, 2\)"),
        ({"y": ["", "5.1"]}, {}, r"train.csv: a missing or infinite target in 1 row \(1\)"),
        ({"y": ["low", "5.1"]}, {}, "must be numbers. Columns that hold something else: 'y'"),
        ({}, {"smiles": "structure"}, r"there is no column 'structure' .--smiles."),
        ({}, {"model": "chemprop"}, "best.pt says itself which network it holds. Found model='chemprop'"),
        ({}, {"epochs": 5}, "epochs"),
    ],
)
def test_tables_that_cannot_be_used_are_refused_by_row(named, change, options, message):
    written("best.pt", named)
    frame = pd.read_csv("train.csv", dtype=str)
    for column, values in change.items():
        frame.loc[[0, 1], column] = values
    frame.to_csv("train.csv", index=False)
    with pytest.raises(InvalidInput, match=message):
        audited(**options)


def test_rows_that_cannot_be_used_are_dropped_where_it_is_asked_for(desk, named):
    written("best.pt", named)
    frame = pd.read_csv("train.csv", dtype=str)
    frame.loc[3, "SMILES"], frame.loc[5, "y"] = "nothing", ""
    frame.to_csv("train.csv", index=False)
    result = audited(skip_invalid=True)
    assert result.data["members"] == 38
    assert "dropped-rows" in codes(result.flags)
    with pytest.raises(InvalidInput, match="what a recording tells is told by row, and 2 rows would be dropped"):
        audited(skip_invalid=True, recorded="somewhere")


def test_the_same_molecule_on_both_sides_is_refused_however_it_is_drawn(desk, named):
    written("best.pt", named)
    frame = pd.read_csv("test.csv")
    frame.loc[2, "SMILES"] = "OCCC"  # CCCO trained it
    frame.to_csv("test.csv", index=False)
    with pytest.raises(
        InvalidInput, match=re.escape("Of the nonmembers, 1 row (2), counted from 0, have the inputs of a")
    ):
        audited()
    assert "overlap" in codes(audited(overlap="keep").flags)


def test_a_file_of_chemprop_1_is_refused_with_the_way_to_convert_it(desk):
    content = {"args": argparse.Namespace(depth=3), "state_dict": {"encoder.encoder.0.W_i.weight": torch.ones(2, 2)}}
    torch.save(content, "old.pt")
    with pytest.raises(InvalidInput, match="old.pt: must be a network saved by chemprop 2. Found one of chemprop 1"):
        audited("old.pt")
    with pytest.raises(InvalidInput, match="Found one of chemprop 1"):
        leaq.audit("train.csv", released="old.pt", members="test.csv", target="y", smiles="SMILES")


def test_packed_graphs_are_records_too(desk, named):
    written("best.pt", named)
    rows = MolGraph().encode(desk.SMILES.tolist()).features
    y = desk.y.to_numpy()
    np.savez("a.npz", x=rows[::2], y=y[::2])
    np.savez("b.npz", x=rows[1::2], y=y[1::2])
    mine, theirs = audited(members="a.npz", nonmembers="b.npz"), audited()
    assert mine.rows[0].metrics["loss"].value == pytest.approx(theirs.rows[0].metrics["loss"].value, rel=1e-5)
    assert read_chemprop("best.pt").targets == ("y",)
