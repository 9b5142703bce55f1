"""Protection: who is used for what, what is chosen, what is written, and going on after an interruption."""

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

import leaq
from leaq.api.protecting.parts import Parts
from leaq.decisions.choosing import recommend
from leaq.decisions.standing import start_budget
from leaq.errors import InvalidInput
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.preparing import prepare
from leaq.quantizers import build, unpack
from leaq.types import Checkpoints
from tests.unit.api.protecting.cases import OPTIONS


def test_advice_about_the_proof_starts_from_the_budget_of_the_choice(protected):
    assert start_budget(protected.audit) == 0.05
    assert recommend([protected.audit])[0].budget == 0.05


def test_what_is_written(protected):
    weights, spec = unpack(protected.folder / "protected.safetensors")
    assert spec == protected.quantizer
    assert weights.batch == (1,)
    card = (protected.folder / "card.md").read_text()
    assert card == protected.card
    assert "How the release was chosen" in card
    assert "ROC-AUC where chosen" in card
    assert "roc_auc" not in protected.chosen
    assert "by its estimate" in protected.chosen or protected.quantizer == "none"
    assert "on the models audited by" in protected.chosen or protected.quantizer == "none"
    assert "not attacked" in card or all(one.advantage for one in protected.tried)
    assert (protected.folder / "choice.json").stat().st_mode & 0o077 == 0


def test_the_same_call_again_reads(protected, monkeypatch):
    def never(*_args, **_kwargs):
        raise AssertionError("trained again")

    monkeypatch.setattr("leaq.pipeline.subjects.heads.train", never)
    again = leaq.protect("breast_cancer", max_drop=0.05, out=protected.folder, **OPTIONS)
    assert again.quantizer == protected.quantizer
    assert again.tried == protected.tried
    assert again.card == protected.card


def test_other_options_want_another_folder(protected):
    with pytest.raises(InvalidInput, match="the folder must belong to the same options"):
        leaq.protect("breast_cancer", max_drop=0.01, out=protected.folder, **OPTIONS)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"max_drop": -0.1}, "max_drop must be 0 or more"),
        ({"max_drop": 2}, "must be at most 1, which is all there is. Found 2. Per cent are hundredths"),
        ({"max_drop": float("nan")}, "max_drop must be 0 or more"),
        ({"game": "calibration"}, "Found another game"),
        ({"together": ("sign + uniform(bits=2)",)}, "several releases"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, said):
    with pytest.raises(InvalidInput, match=said):
        leaq.protect("wine", **{**OPTIONS, **wrong})


NETS = """
from torch import nn
def make(features, outputs):
    return nn.Sequential(nn.Linear(features, 12), nn.LayerNorm(12), nn.ReLU(), nn.Linear(12, outputs))
"""


def test_a_network_of_ones_own_is_protected_and_what_it_cannot_take_is_named(tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    found = leaq.protect(
        "wine",
        model="nets.py:make",
        quantizers=("sign", "sparse_refit(sparsity=0.5, calibrated=elsewhere)", "distilled"),
        replicates=8,
        max_drop=1.0,
        out=tmp_path / "p",
        training={"epochs": 10, "learning_rate": 0.01, "checkpoints": 2},
    )
    tried = {one.label.split(",")[0]: one for one in found.tried}
    assert "a student may take over nothing that was trained" in tried["distilled"].refused
    assert all(one.advantage is not None for one in found.tried if not one.refused)
    assert (tmp_path / "p" / "protected.safetensors").exists()
    assert "not made: " in found.card
    assert len(found.audit.rows) in (1, 2)


def test_a_finished_model_is_not_chosen_on_itself_and_is_what_is_packed(tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(240, 6)), columns=list("abcdef"))
    table["y"] = (table.a + table.b + 0.3 * rng.normal(size=240) > 0).astype(int)
    table.to_csv("all.csv", index=False)
    table[:100].to_csv("members.csv", index=False)
    net = torch.nn.Sequential(torch.nn.Linear(6, 12), torch.nn.LayerNorm(12), torch.nn.ReLU(), torch.nn.Linear(12, 2))
    save_file(net.state_dict(), "model.safetensors")
    own = {"model": "nets.py:make", "released": "model.safetensors", "members": "members.csv"}
    parts = Parts.of(*prepare(AuditConfig(source="all.csv", target="y", **own)))
    assert parts.pool.released_on.sum() == 100
    assert not set(range(1, 101)) & {*parts.public.ids, *parts.choosing.ids}
    assert min(len(parts.public), len(parts.choosing)) > 20
    found = leaq.protect(
        "all.csv",
        target="y",
        **own,
        quantizers=("sign", "sign(stop=0.5)"),
        replicates=8,
        max_drop=1.0,
        out="p",
        training={"epochs": 3, "checkpoints": 4},
    )
    assert found.audit.data["game"] == "released"
    assert "recorded no earlier weights" in next(one.refused for one in found.tried if "stop" in one.quantizer)
    assert "the one that was given" in found.card
    weights, spec = unpack(tmp_path / "p" / "protected.safetensors")
    expected = build(spec)(Checkpoints({"w": net[0].weight.data[None]}, {"w": "linear"}, (1,))).params["w"]
    assert torch.equal(weights.params["0.weight"], expected)


def test_a_file_alone_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_file({"0.weight": torch.zeros(2, 3)}, "m.safetensors")
    with pytest.raises(InvalidInput, match="chooses by attacks with shadow models. Found a finished model"):
        leaq.protect("m.safetensors", members="a.npz", model="nets.py:make")
