from types import SimpleNamespace

import pytest

from leaq.config import modules_in
from leaq.errors import InvalidInput
from leaq.pipeline import AuditConfig, audit
from leaq.pipeline.subjects import Heads, choice, subject_of
from leaq.pipeline.subjects.base import Kind
from leaq.training import TrainingConfig

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
    assert [kind.place for kind in choice._kinds()] == [1, 2, 3, 9]
