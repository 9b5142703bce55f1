from dataclasses import replace

import numpy as np

from leaq.attacks.base import Context
from leaq.attacks.lira import Lira
from leaq.attacks.scoring import Resampling, attack_result
from tests.attack_tables import planted
from tests.unit.attacks.cases import ATTACK


def test_targets_that_share_their_shadows_have_wider_intervals(rng):
    """An offset of each model moves the targets' scores and, through the shadows, everybody else's."""
    lira, widths = Lira(normalise=False), []
    for _ in range(5):
        table = planted(rng, models=8, n=400)
        moved = replace(table, scores=table.scores + 1.5 * rng.normal(size=(8, 1)))
        scores = lira.scores(Context(moved), range(8))
        alone = attack_result(ATTACK, moved, scores, targets=range(8), resampling=Resampling(draws=100))
        shared = lira(moved, resampling=Resampling(draws=100))
        assert shared.auc.value == alone.auc.value
        widths.append([found.auc.high - found.auc.low for found in (alone, shared)])
    assert np.mean(widths, axis=0)[1] > 1.2 * np.mean(widths, axis=0)[0]
    assert "shadows by a jackknife" in shared.advantage.method
