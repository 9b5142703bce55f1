"""Files that chemprop saved, attacked with shadow models of leaq's own; written here without chemprop."""

import numpy as np
import pandas as pd
import pytest
import torch

import leaq
from leaq.embedders import EMBEDDERS
from leaq.errors import InvalidInput
from leaq.models.nets.chemprop import read_chemprop
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.preparing import prepare
from leaq.pipeline.subjects import subject_of
from leaq.study import audit_into
from leaq.types import silent
from tests.helpers import require
from tests.unit.models.nets.test_chemprop import named, written

__all__ = ["named"]
QUICK = {"quantizers": ("sign",), "replicates": 8, "draws": 20, "training": {"epochs": 1}, "attacks": ("threshold",)}


@pytest.fixture
def assays(tmp_path):
    """Molecules with a value and a class, all of them and those that trained the released network."""
    require("rdkit")
    rows = [(f"{'C' * n}{tail}", n + 0.1 * len(tail), n % 2) for n in range(1, 17) for tail in ("O", "N", "Cl")]
    frame = pd.DataFrame(rows, columns=["smiles", "y", "active"])
    frame.to_csv(tmp_path / "all.csv", index=False)
    frame[::2].to_csv(tmp_path / "train.csv", index=False)
    return tmp_path


def config(folder, **change):
    named = {"source": "all.csv", "members": "train.csv", "released": "best.pt"}
    places = {name: str(folder / file) for name, file in named.items()}
    return AuditConfig(**{**places, "smiles": "smiles", **QUICK, **change})


@pytest.mark.parametrize(("target", "end"), [("y", "RegressionFFN"), ("active", "BinaryClassificationFFN")])
def test_the_released_network_predicts_what_its_file_does(assays, named, target, end):
    written(assays / "best.pt", named, end=end)
    samples, resolved = prepare(config(assays, target=target, model="chemprop(hidden=6)", replicates=2))
    made = subject_of(resolved).train(samples, np.ones((3, len(samples)), bool), which=slice(0, 3), progress=silent)
    rows = torch.tensor(EMBEDDERS.build("molgraph").encode(samples.inputs.tolist() if samples.kind == "smiles" else
                        pd.read_csv(assays / "all.csv").smiles.tolist()).features)  # fmt: skip
    expected = read_chemprop(assays / "best.pt")(rows).detach()
    outputs = made.model.forward(made.checkpoints.last().params, rows)
    found = outputs[0] if target == "y" else outputs[0][:, 1:] - outputs[0][:, :1]
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(outputs[0], outputs[1])


def test_what_a_released_file_says_need_not_be_named(assays, named):
    written(assays / "best.pt", named)
    places = {name: str(assays / file) for name, file in (("source", "all.csv"), ("members", "train.csv"))}
    bare = AuditConfig(**places, released=str(assays / "best.pt"), **QUICK)
    _, resolved = prepare(bare)
    assert (resolved.smiles, resolved.target) == ("smiles", "y")
    assert resolved.model == "chemprop(hidden=6, depth=3, aggregation=norm)"
    assert (resolved.training.batch_size, resolved.training.epochs) == (
        64,
        1,
    )  # chemprop's recipe, but for what is named
    _, other = prepare(bare.but(target="active"))
    assert other.target == "active"
    kept, whole = (audit_into(bare, assays / "run"), leaq.audit(bare))
    assert kept.config["model"] == resolved.model
    assert kept.rows[0].metrics == whole.rows[0].metrics


@pytest.mark.filterwarnings("ignore")
def test_an_ensemble_is_one_release_with_ensembles_as_shadows(assays, named):
    for at in range(2):
        (assays / "out" / f"model_{at}").mkdir(parents=True)
        written(assays / "out" / f"model_{at}" / "best.pt", named, seed=at)
    asked = config(assays, target="y", model="chemprop(hidden=6, ensemble=2)", released=str(assays / "out"))
    samples, resolved = prepare(asked)
    members = np.ones((3, len(samples)), bool)
    made = subject_of(resolved).train(samples, members, which=slice(0, 3), progress=silent)
    params = made.checkpoints.last().params
    outputs = made.model.forward(params, torch.tensor(samples.inputs))
    files = sorted((assays / "out").rglob("best.pt"))
    torch.testing.assert_close(outputs[0], read_chemprop(*files)(torch.tensor(samples.inputs)).detach())
    weight = "members.{}.module.message_passing.W_i.weight"
    assert not torch.equal(params[weight.format(0)][1], params[weight.format(1)][1])  # seeds of their own
    result = leaq.audit(asked, attacks=("threshold", "file"))  # the file holds a scaler of each network
    assert result.data["game"] == "released"
    assert [row.label for row in result.rows] == ["full precision", "sign"]


def test_other_networks_are_refused_before_anything_is_trained(assays, named, monkeypatch):
    written(assays / "best.pt", named)
    monkeypatch.setattr("leaq.pipeline.subjects.architecture.train_modules", lambda *_, **__: pytest.fail("trained"))
    for model, message in (
        ("chemprop(hidden=8)", r"best.pt: shadow models must be of the released.*Name model='chemprop\(hidden=6"),
        ("chemprop(hidden=6, depth=4)", "Found hidden=6, depth=3, aggregation=norm in the file and hidden=6, depth=4"),
        ("chemprop(hidden=6, ensemble=3)", r"Found 1 of chemprop's and 3 of the model named. .*ensemble=1"),
        ("gin(hidden=6)", "best.pt: a network that chemprop saved has shadow models of its own kind. Found GraphNet"),
    ):  # fmt: skip
        with pytest.raises(InvalidInput, match=message):
            leaq.audit(config(assays, target="y", model=model))
