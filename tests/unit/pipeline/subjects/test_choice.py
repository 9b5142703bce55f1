from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import save_file

import leaq
from leaq.config import modules_in
from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.pipeline import AuditConfig, audit
from leaq.pipeline.subjects import Heads, choice, subject_of
from leaq.pipeline.subjects.base import Kind
from leaq.pipeline.subjects.given import Given
from leaq.training import TrainingConfig
from tests.unit.pipeline.subjects.cases import N, net, nn, overfit, quick

CONFIG = AuditConfig(
    source="wine",
    quantizers=("sign",),
    replicates=4,
    attacks=("threshold",),
    training=TrainingConfig(epochs=2),
    draws=20,
)


@pytest.fixture
def planted(monkeypatch):
    """A subject of a file that is not there: the perceptron without hidden layers, asked for by its name."""

    def linear(config, _):
        return (
            Heads(config.training.model_copy(update={"hidden": ()}), config.seed) if config.recipe == "linear" else None
        )

    more = SimpleNamespace(SUBJECT=Kind(linear, place=0))
    monkeypatch.setattr(choice, "modules_in", lambda folder: [*modules_in(folder), more])
    choice._kinds.cache_clear()
    yield
    monkeypatch.undo()
    choice._kinds.cache_clear()


def test_a_subject_is_known_by_its_file_alone(planted):
    named = CONFIG.model_copy(update={"recipe": "linear"})
    assert subject_of(named).training.hidden == ()
    found, usual = audit(named), audit(CONFIG)
    assert [row.quantizer for row in found.rows] == ["none", "sign"]
    linear = CONFIG.model_copy(update={"training": CONFIG.training.model_copy(update={"hidden": ()})})
    assert found.rows[0].metrics == audit(linear).rows[0].metrics != usual.rows[0].metrics


def test_what_no_file_answers_to_is_refused():
    with pytest.raises(InvalidInput, match=r"recipe must read file.py:function or module:function.*Found 'linear'"):
        subject_of(CONFIG.model_copy(update={"recipe": "linear"}))


def test_without_anything_named_the_perceptron_is_asked_last():
    assert isinstance(subject_of(CONFIG), Heads)
    places = [kind.place for kind in choice._kinds()]
    assert len(places) == len(set(places)) > 3  # none asked before another by chance
    assert isinstance(choice._kinds()[-1].asked(CONFIG, Given()), Heads)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_file(net().state_dict(), "m.safetensors")


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(("options", "said"), [
    ({"recipe": lambda *_: 3}, "A recipe must return the trained model"),
    ({"recipe": lambda *_: 1 / 0}, r"failed on model 0 \(40 records\) with ZeroDivisionError.*test_choice.py, line"),
    ({"recipe": lambda *_: nn.Linear(6, 5)}, "one output a class, 2. Found 5"),
    ({"recipe": lambda *_: nn.Linear(7, 2)}, "must run on the records"),
    ({"recipe": lambda r, _: net() if r.ids.min() == 1 else nn.Linear(6, 2)}, "must have one architecture"),
    ({"model": lambda: "net"}, "must return a torch.nn.Module. Found str"),
    ({"model": lambda needed: needed}, "may take features, outputs, task and shape"),
    ({"model": lambda: nn.Sequential(nn.Linear(6, 2), nn.Softmax(1))}, "must return logits. Found probabilities"),
    ({"model": net, "recipe": overfit}, "Found both. Name one of them"),
    ({"model": "nowhere.py:make"}, "There is no file"),
    ({"recipe": overfit, "released": "m.safetensors"}, "needs the records that trained it"),
    ({"recipe": overfit, "released": "n.safetensors", "members": [1]}, "no released file .* Did you mean"),
    ({"released": "m.safetensors", "members": np.arange(N) % 2 == 0}, "so its training must be named"),
    ({"recipe": overfit, "released": "m.safetensors", "members": np.arange(N) < 5}, "at least 20 members. Found 5"),
    ({"recipe": overfit, "released": "m.safetensors", "members": [0, 1]}, "row numbers must lie in 1..80"),
    ({"recipe": overfit, "released": "m.safetensors", "members": pd.DataFrame({"c0": [1.0]})}, "Missing: c1"),
])  # fmt: skip
def test_what_cannot_be_audited_is_refused_in_words(table, options, said):
    with pytest.raises((InvalidInput, NotEnoughEvidence), match=said):
        leaq.audit(table, **quick(replicates=4), **options)
