"""Every option of the command line works in Python: as text, and as what the text names."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

import leaq
from leaq.cli.configured import _read
from leaq.errors import InvalidInput
from leaq.models.nets import NETS
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.options import config_from, options
from leaq.pipeline.subjects import request
from leaq.quantizers import Sign, Uniform
from leaq.training import TrainingConfig
from leaq.types import Checkpoints
from tests.unit.pipeline.finished.models import noisy, overfitted

TABLE = {".".join(one.path): one for one in options(AuditConfig)}
# By option: what is written on a command line, and what Python may be given for it.
FORMS = {
    "source": ("a/b.csv", [Path("a/b.csv")]),
    "nonmembers": ("n.npz", [Path("n.npz")]),
    "columns": ("a,b", [["a", "b"], ("a", "b")]),
    "loss": ("nets.py:brier", ["nets.py:brier"]),
    "shipped": ("q=m.gguf", [["q=m.gguf"], {"q": "m.gguf"}, {"q": Path("m.gguf")}]),
    "recorded": ("run", [Path("run")]),
    "reference": ("base", [Path("base")]),
    "length": ("8", [8]),
    "n_train": ("80", [80]),
    "overlap": ("keep", ["keep"]),
    "neighbours": ("7", [7]),
    "model": ("gin(hidden=8)", [NETS.build("gin(hidden=8)"), Path("gin(hidden=8)")]),
    "recipe": ("train.py:train", [Path("train.py:train")]),
    "released": ("m.gguf", [Path("m.gguf")]),
    "members": ("m.csv", [Path("m.csv")]),
    "target": ("y", ["y"]),
    "smiles": ("s", ["s"]),
    "group": ("g", ["g"]),
    "task": ("regression", ["regression"]),
    "ignore": ("a", ["a", ["a"]]),
    "skip_invalid": (True, [True]),
    "strip_salts": (True, [True]),
    "log_target": (True, [True]),
    "split": ("random", ["random"]),
    "embedder": ("ecfp4", ["ecfp4"]),
    "quantizers": (
        "sign,uniform(bits=4)",
        ["sign, uniform(bits=4)", [Sign(), "uniform(bits=4)"], (Sign(), Uniform(bits=4))],
    ),
    "effort": ("deep", ["deep"]),
    "replicates": ("4", [4]),
    "shadows": ("2", [2]),
    "attacks": ("threshold,lira", ["threshold, lira", ["threshold", "lira"]]),
    "together": ("sign + twn", ["sign + twn", ["sign + twn"]]),
    "references": ("forest", ["forest", ["forest"]]),
    "dp_sgd": ("1,inf", ["1,inf", [1, float("inf")], ["1", "inf"]]),
    "game": ("pool", ["pool"]),
    "public": ("p.csv", [Path("p.csv")]),
    "seed": ("3", [3]),
    "level": ("0.9", [0.9]),
    "draws": ("30", [30]),
    "threads": ("1", [1]),
}


NAMES = [name for name in TABLE if "." not in name]


def test_every_form_is_of_an_option():
    assert set(FORMS) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_an_option_is_in_python_what_it_is_on_the_command_line(name):
    one = TABLE[name]
    written, forms = FORMS.get(name, (one.text(one.default), [one.default]))  # a new option: what it is by default
    value = _read(one, [written]) if one.many else written
    asked = config_from(AuditConfig, {"source": "wine", name: value})
    for form in forms:
        subject, more = (form, {}) if name == "source" else ("wine", {name: form})
        config, given = request(subject, more)
        assert config == asked, form
        assert all(held is None for held in vars(given).values())


@pytest.mark.parametrize("name", [name.partition(".")[2] for name in TABLE if name.startswith("training.")])
def test_an_option_of_the_training_is_one_of_its_table(name):
    usual = TrainingConfig().to_dict()[name]
    config, _ = request("wine", {"training": {name: usual}})
    assert config.training == AuditConfig(source="wine").training


@pytest.mark.parametrize(("name", "value"), [
    ("members", np.arange(9) < 4), ("members", [1, 2, 3]), ("members", pd.DataFrame({"a": [1]})),
    ("nonmembers", ([[0.0]], [1])), ("model", torch.nn.Linear), ("recipe", lambda *_: None), ("loss", lambda *_: None),
    ("released", torch.nn.Linear(2, 2)), ("public", pd.DataFrame({"a": [1]})), ("reference", torch.nn.Linear(2, 2)),
    ("shipped", {"a": torch.nn.Linear(2, 2), "b": "m.gguf"}),
])  # fmt: skip
def test_what_is_in_memory_is_held_and_named_by_what_it_is(name, value):
    config, given = request("wine", {name: value})
    assert getattr(given, name) is value
    text = getattr(config, name)
    assert all(one.endswith(" in memory") for one in ((text,) if isinstance(text, str) else text))
    assert AuditConfig.from_dict(config.to_dict()) == config


QUICK = {"quantizers": ("sign",), "draws": 20, "neighbours": 4, "n_train": 60}


def brier(outputs, targets):
    return ((outputs.softmax(-1) - torch.nn.functional.one_hot(targets, 2)) ** 2).sum(-1)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A finished network in a file, and its records as NPZ, CSV, frames and arrays."""
    x, y = noisy()
    model = overfitted(x[:60], y[:60])
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    frame = pd.DataFrame(x, columns=[f"c{i}" for i in range(6)]).assign(y=y, name="mol")
    for name, part in (("a", slice(60)), ("b", slice(60, None))):
        np.savez(tmp_path / f"{name}.npz", x=x[part], y=y[part])
        frame[part].to_csv(tmp_path / f"{name}.csv", index=False)
    (tmp_path / "nets.py").write_text(
        "from torch import nn\ndef make(features, outputs):\n"
        "    return nn.Sequential(nn.Linear(features, 48), nn.ReLU(), nn.Linear(48, outputs))\n"
    )
    monkeypatch.chdir(tmp_path)
    return model, frame, x, y


def test_a_finished_model_gives_the_same_numbers_in_whatever_form_it_comes(desk):
    model, frame, x, y = desk
    pairs = {"members": (x[:60], y[:60]), "nonmembers": (x[60:], y[60:])}
    paths = {"members": "a.npz", "nonmembers": Path("b.npz")}
    tables = {"members": "a.csv", "nonmembers": Path("b.csv"), "target": "y", "ignore": "name"}
    frames = {"members": frame[:60], "nonmembers": frame[60:], "target": "y", "columns": [f"c{i}" for i in range(6)]}

    def make():
        return torch.nn.Sequential(torch.nn.Linear(6, 48), torch.nn.ReLU(), torch.nn.Linear(48, 2))

    wanted = leaq.audit(model, **pairs, **QUICK)
    for subject, records, built in (
        ("w.safetensors", paths, "nets.py:make"),
        (Path("w.safetensors"), pairs, make),
        ("w.safetensors", tables, "nets.py:make"),
        ("w.safetensors", frames, "nets.py:make"),
        (model, tables, None),
        (AuditConfig(source="w.safetensors", model="nets.py:make"), paths, None),
    ):
        found = leaq.audit(subject, **records, **QUICK, **({} if built is None else {"model": built}))
        assert json.loads(found.to_json())["rows"] == json.loads(wanted.to_json())["rows"]
        assert found.config["kind"] == "model"
    own = leaq.audit("w.safetensors", **pairs, **QUICK, model=make, loss=brier, shipped={"same": "w.safetensors"})
    assert own.config["loss"] == "brier"
    assert own.rows[2].attacks["threshold"].advantage == own.rows[0].attacks["threshold"].advantage


def test_a_recording_is_a_folder_or_checkpoints_under_either_name():
    one = Checkpoints({"w": torch.zeros(1, 3, 2)}, {"w": "linear"}, (1, 3))
    for name in ("recorded", "checkpoints"):
        config, given = request("m.onnx", {name: "run", "members": "a", "nonmembers": "b"})
        assert (config.recorded, given.checkpoints) == ("run", None)
        config, given = request("m.onnx", {name: one, "members": "a", "nonmembers": "b"})
        assert config.recorded == ""
        assert given.checkpoints is one
    with pytest.raises(InvalidInput, match="one folder or the checkpoints in memory. Found both"):
        request("m.onnx", {"recorded": "run", "checkpoints": one})


def test_members_and_public_records_of_a_source_may_be_frames_or_files(desk):
    _, frame, _, _ = desk

    def train(records, seed):
        torch.manual_seed(seed)
        return torch.nn.Linear(6, 2)

    common = {"target": "y", "ignore": "name", "quantizers": "sign", "replicates": 4, "draws": 20, "recipe": train}
    rows = [
        leaq.audit(frame, released=torch.nn.Linear(6, 2), members=members, **common).data["n_train"]
        for members in ("a.csv", Path("a.csv"), frame[:60], np.arange(120) < 60, list(range(1, 61)))
    ]
    assert rows == [60] * 5
    options = {**common, "recipe": None, "quantizers": "gptq(bits=3)", "training": {"epochs": 1, "checkpoints": 2}}
    for public in ("b.csv", frame[60:]):
        found = leaq.audit(frame[:60], public=public, **options)
        assert any(flag.code == "public-records" for flag in found.flags)


def test_options_of_a_finished_model_are_refused_where_models_are_trained():
    with pytest.raises(InvalidInput, match="overlap belongs to a finished model. Found the source 'wine'"):
        leaq.audit("wine", overlap="keep")
    with pytest.raises(InvalidInput, match="nothing is trained, so replicates has no meaning"):
        leaq.audit(torch.nn.Linear(2, 2), members="a.npz", nonmembers="b.npz", replicates=4)
