"""What an audit costs, said beforehand: memory is linear in what it holds, and named in the sentence."""

from dataclasses import replace

import numpy as np
import pytest

from leaq.data import load
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.cost import LIBRARIES, estimated_cost
from leaq.training import TrainingConfig


def held(rng, *, n=200, features=4, **options):
    """Bytes beyond the libraries."""
    training = TrainingConfig(hidden=options.pop("hidden", (8,)), epochs=1, checkpoints=options.pop("checkpoints", 4))
    config = AuditConfig(source="memory", training=training, **({"replicates": 8, "quantizers": ("sign",)} | options))
    samples = load((rng.normal(size=(n, features)), np.arange(n) % 2), config)
    return estimated_cost(samples, config.but(task=samples.task, embedder="identity")).memory - LIBRARIES


def test_memory_grows_with_the_records_in_proportion(rng):
    one, two, four = (held(rng, n=n) for n in (2000, 4000, 8000))
    assert four - two == pytest.approx(2 * (two - one))


@pytest.mark.parametrize(
    "more",
    [{"replicates": 16}, {"quantizers": ("sign", "ternary")}, {"checkpoints": 8}, {"hidden": (64,)}, {"draws": 400}],
)
def test_more_of_anything_needs_more_memory(more, rng):
    assert held(rng, **more) > held(rng)


def test_a_wide_first_layer_is_told_by_its_checkpoints(rng):
    """3 copies of 8 models, 4 checkpoints of 2000 x 64 weights, and a scaler's two numbers a column, in float32."""
    expected = 3 * 4 * 8 * 4 * 2000 * (64 + 2)
    assert held(rng, features=2000, hidden=(64,)) == pytest.approx(expected, rel=0.2)


NET = """
from torch import nn
def make(features, outputs, width=8):
    return nn.Sequential(nn.Linear(features, width), nn.ReLU(), nn.Linear(width, outputs))
def wide(features, outputs):
    return make(features, outputs, width=512)
def train(records, seed):
    raise AssertionError("a cost is said before anything is trained")
"""


def said(rng, folder, **options):
    (folder / "netspriced.py").write_text(NET)
    (folder / "m.safetensors").write_bytes(b"")
    config = AuditConfig(source="memory", training=TrainingConfig(epochs=2, checkpoints=4), quantizers=("sign",),
                         replicates=8, **options)  # fmt: skip
    members = np.arange(200) % 4 < 2 if "released" in options else None
    samples = load((rng.normal(size=(200, 6)), np.arange(200) % 2), config, members=members)
    return estimated_cost(samples, config.but(task=samples.task, embedder="identity"))


def test_a_network_of_ones_own_is_priced_and_not_the_perceptron(rng, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    narrow, wide = (said(rng, tmp_path, model=f"netspriced.py:{name}") for name in ("make", "wide"))
    weights = {width: 6 * width + width + 2 * width + 2 for width in (8, 512)}
    # 3 copies, 4 bytes, 8 models, 4 checkpoints
    assert wide.memory - narrow.memory == pytest.approx(3 * 4 * 8 * 4 * (weights[512] - weights[8]), rel=1e-6)
    assert narrow.seconds > 0
    assert "8 models with 6 shadow models each" in narrow.sentence()
    assert "Takes less than a second here and about" in replace(narrow, stages={"measuring": 0.2}).sentence()
    long = replace(narrow, stages={"training": 0.3, "measuring": 170.0}).sentence()
    assert "Takes about 3 min here (measuring 3 min) and about" in long


def test_of_a_recipe_what_is_not_known_is_not_said(rng, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sentence = said(rng, tmp_path, recipe="netspriced.py:train").sentence()
    assert sentence.startswith("Attacks 8 models with 6 shadow models each: 8 trainings by netspriced.py:train, 2 quan")
    assert "GB" not in sentence
    assert "quantizing and evaluating not counted" in sentence
    released = {"released": "m.safetensors", "members": "in memory"}
    sentence = said(rng, tmp_path, recipe="netspriced.py:train", **released).sentence()
    assert sentence.startswith("Attacks the released file with 8 shadow models: 8 trainings by netspriced.py:train")
    found = said(rng, tmp_path, model="netspriced.py:make", **released)
    assert (found.candidates, found.shadows) == (9, 8)
    assert found.steps == said(rng, tmp_path, model="netspriced.py:make").steps


def stages(rng, **options):
    training = TrainingConfig(hidden=(8,), epochs=2, checkpoints=4)
    config = AuditConfig(source="memory", training=training, **({"replicates": 8, "quantizers": ("sign",)} | options))
    samples = load((rng.normal(size=(120, 6)), np.arange(120) % 2), config)
    return estimated_cost(samples, config.but(task=samples.task, embedder="identity"))


@pytest.mark.parametrize(
    ("more", "stage"),
    [
        ({"references": ("knn",)}, "references"),
        ({"together": ("stochastic(bits=2) x4",)}, "releases together"),
        ({"dp_sgd": ("1", "inf")}, "DP-SGD"),
    ],
)
def test_what_is_trained_or_attacked_beside_is_counted_and_named(more, stage, rng):
    if "dp_sgd" in more:
        pytest.importorskip("opacus")
    plain, asked = stages(rng), stages(rng, **more)
    assert stage not in plain.stages
    assert asked.stages[stage] > 0
    assert asked.seconds == sum(asked.stages.values())
    slow = replace(asked, stages={**asked.stages, stage: 300.0})
    assert f"{stage} 5 min" in slow.sentence()
    assert asked.memory >= plain.memory


def test_calibrations_are_counted_as_what_they_are(rng):
    found = stages(rng, quantizers=("gptq(bits=4)",), game="calibration")
    assert found.sentence().startswith("Attacks 8 calibrations with 6 shadow calibrations each: ")
    # one model that is known and one for each calibration, on the half of the records that is not asked about
    assert found.steps == 2 * TrainingConfig(epochs=2).steps(60)
    assert found.candidates == 8
