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
    assert trial.releasing() == pytest.approx(2 * each)


def test_every_model_trained_with_privacy_is_paid_for(rng, ticking):
    pytest.importorskip("opacus")
    training = TrainingConfig(hidden=(8,), epochs=10, batch_size=8, checkpoints=4)
    config = AuditConfig(source="memory", quantizers=("sign",), replicates=4, training=training, dp_sgd=("1", "inf"))
    samples = load((rng.normal(size=(160, 4)), np.arange(160) % 2), config)
    todo = asked(config, samples)
    tried = 2 * 5  # two epochs of five batches took one second
    steps = 2 * 4 * 10 * 10
    assert rehearsal.private_seconds(config, todo) == pytest.approx(steps / tried + rehearsal.ACCOUNTING)
