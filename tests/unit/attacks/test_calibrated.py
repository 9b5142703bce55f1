import numpy as np
import pytest

from leaq.attacks.base import Context
from leaq.attacks.calibrated import Calibrated
from leaq.attacks.threshold import Threshold
from tests.attack_tables import planted, with_


def test_references_take_out_the_difficulty_a_threshold_cannot(rng):
    table = planted(rng, n=400, models=16)
    assert Calibrated()(table).auc.low > Threshold()(table).auc.high


def test_as_published_it_needs_losses_alone(rng):
    table = with_(planted(rng, n=200), scores=None)
    assert Calibrated(normalise=False)(table).auc.value > 0.6
    assert "needs scores" in Calibrated().run(Context(table)).reason


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_better_fit_scores_higher(task, rng):
    """A record that fits better than before, all else as it was: its score rises."""
    table = planted(rng, task=task, n=50)
    scores = 0.01 * table.scores  # small against the targets, so that no residual means a good fit
    table = with_(table, scores=scores.copy())
    worst = scores[0].argmin() if task == "classification" else np.abs(scores[0]).argmax()
    scores[0, worst] = scores[0].max() if task == "classification" else 0.0
    before, after = (Calibrated().scores(Context(one), [0])[0] for one in (table, with_(table, scores=scores)))
    assert after[worst] > before[worst]
    assert np.abs(np.delete(after - before, worst)).max() < after[worst] - before[worst]
