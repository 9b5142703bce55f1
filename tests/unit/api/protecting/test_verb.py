"""Protection: who is used for what, what is chosen, what is written, and going on after an interruption."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

import leaq
from leaq.api.protecting import choosing
from leaq.api.protecting.parts import Parts
from leaq.data import load
from leaq.decisions.choosing import recommend
from leaq.decisions.standing import start_budget
from leaq.errors import InvalidInput
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.preparing import prepare
from leaq.quantizers import build, unpack
from leaq.results import CellResult
from leaq.training import TrainingConfig
from leaq.types import Checkpoints

QUICK = TrainingConfig(hidden=(8,), epochs=6, checkpoints=4)
TRIED = ("sign", "none(stop=0.25)", "sparse_refit(sparsity=0.6, calibrated=elsewhere)")
OPTIONS = {"quantizers": TRIED, "replicates": 8, "training": QUICK, "draws": 40, "threads": 1}


@pytest.fixture(scope="module")
def protected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("protected") / "run"
    return leaq.protect("breast_cancer", max_drop=0.05, out=folder, **OPTIONS)


@pytest.mark.parametrize("given", [False, True])
def test_parts_share_no_record_and_together_are_all(given):
    samples, config = prepare(AuditConfig(source="breast_cancer"))
    if given:
        known, own = samples.take(np.arange(0, 200)), samples.take(np.arange(100, 569))
        samples = replace(own, public=known)
    parts = Parts.of(samples, config)
    ids = [set(part.ids.tolist()) for part in (parts.pool, parts.choosing, parts.public)]
    assert sum(map(len, ids)) == len(set.union(*ids)) == 569
    assert len(parts.whole) == len(parts.pool) + len(parts.choosing)
    assert parts.pool.public is parts.public
    if given:
        assert ids[2] == set(range(1, 101))  # rows 101 to 200 are asked about, so they are not public
    assert 0.15 < len(parts.choosing) / len(samples) < 0.25


def test_the_smallest_advantage_within_the_budget_is_chosen(protected):
    tried = {one.quantizer: one for one in protected.tried}
    assert set(tried) == {"none", *TRIED[:2], "sparse_refit(sparsity=0.6, calibrated=elsewhere)"}
    attacked = [one for one in tried.values() if one.advantage is not None]
    assert all(one.drop is None or one.drop.value >= -0.05 for one in attacked)
    assert all(one.drop.value < -0.05 for one in tried.values() if one.advantage is None)
    best = min(attacked, key=lambda one: one.advantage.value)
    assert protected.quantizer == best.quantizer


def test_the_audit_is_of_new_models_under_the_chosen_release(protected):
    labels = {row.quantizer for row in protected.audit.rows}
    assert labels == {"none", protected.quantizer}
    assert protected.audit.config["seed"] == 1
    assert protected.audit.config["training"]["standardise"] == "public"
    assert "chosen" in {flag.code for flag in protected.audit.flags}
    n = protected.audit.data["n"]
    assert n == len(Parts.of(load("breast_cancer"), AuditConfig(source="x.csv")).pool)


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


def test_an_interrupted_search_goes_on(protected, tmp_path, monkeypatch):
    class Stopped(Exception):
        pass

    def stop(what, done, _total):
        if (what, done) == ("choosing", 2):
            raise Stopped

    with pytest.raises(Stopped):
        leaq.protect("breast_cancer", max_drop=0.05, out=tmp_path, progress=stop, **OPTIONS)
    assert len(json.loads((tmp_path / "choice.json").read_text())["tried"]) == 2
    measured = []
    whole = choosing._Trained.tried
    monkeypatch.setattr(choosing._Trained, "tried", lambda self, q, d: measured.append(q) or whole(self, q, d))
    found = leaq.protect("breast_cancer", max_drop=0.05, out=tmp_path, **OPTIONS)
    assert len(measured) == len(protected.tried) - 2
    assert found.tried == protected.tried
    assert found.audit.rows[0].metrics == protected.audit.rows[0].metrics
    assert isinstance(CellResult.from_json(found.audit.to_json()), CellResult)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"max_drop": -0.1}, "max_drop must be 0 or more"),
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
