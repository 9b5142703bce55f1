import numpy as np
import pytest

from leaq.data import load
from leaq.pipeline import rehearsal
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.planning import asked
from leaq.training import MLP, TrainingConfig


@pytest.fixture
def ticking(monkeypatch):
    """A clock on which whatever is timed takes one second."""
    now = iter(range(10**6))
    monkeypatch.setattr(rehearsal.time, "thread_time", lambda: float(next(now)))


def test_a_trial_of_a_few_records_and_checkpoints_stands_for_all_of_them(rng, ticking):
    """By hand: fit 1 s, quantize 1 s and run 1 s for 4 checkpoints; what reads more of the release takes as long."""
    config = AuditConfig(source="memory", quantizers=("sign",), replicates=8, judged=2048,
                         training=TrainingConfig(hidden=(8,), epochs=1, checkpoints=20))  # fmt: skip
    samples = load((rng.normal(size=(2048, 4)), np.arange(2048) % 2), config)
    todo = asked(config, samples)
    model = MLP.of(samples, (8,))
    trial = rehearsal.Rehearsal(config, model, model.init(0, range(8)), todo, todo.members)
    each = 1 + (1 + 2048 / 512) * 20 / 4
    assert [trial.releasing(*run) for run in todo.runs(config)] == pytest.approx([each, each])


def test_every_model_trained_with_privacy_is_paid_for(rng, ticking):
    pytest.importorskip("opacus")
    training = TrainingConfig(hidden=(8,), epochs=10, batch_size=8, checkpoints=4)
    config = AuditConfig(source="memory", quantizers=("sign",), replicates=4, training=training, dp_sgd=("1", "inf"))
    samples = load((rng.normal(size=(160, 4)), np.arange(160) % 2), config)
    todo = asked(config, samples)
    tried = 2 * 5  # two epochs of five batches took one second
    steps = 2 * 4 * 10 * 10
    assert rehearsal.private_seconds(config, todo) == pytest.approx(steps / tried + rehearsal.ACCOUNTING)


@pytest.mark.usefixtures("ticking")
@pytest.mark.parametrize(("slow", "tries"), [(0.5, 1), (10.0, 2)])
def test_evaluating_is_tried_for_all_quantizers_at_once(rng, monkeypatch, slow, tries):
    """Quantized weights take as long as others: a network end to end was run over its records for each quantizer."""
    monkeypatch.setattr(rehearsal, "SLOW", slow)
    config = AuditConfig(source="memory", quantizers=("sign", "uniform(bits=4)", "uniform(bits=8)"), replicates=8,
                         training=TrainingConfig(hidden=(8,), epochs=1, checkpoints=4))  # fmt: skip
    samples = load((rng.normal(size=(160, 4)), np.arange(160) % 2), config)
    todo, model = asked(config, samples), MLP.of(samples, (8,))
    trial = rehearsal.Rehearsal(config, model, model.init(0, range(8)), todo, todo.members)
    asked_for = []
    monkeypatch.setattr(rehearsal, "loss_table", lambda *_, **told: asked_for.append(told.get("whitebox", None)))
    for run in todo.runs(config):
        trial.releasing(*run)
    assert len(todo.quantizers) == 4
    assert len(asked_for) == 2 * tries  # once as it is, once with what is read of the file
