"""Advantages and areas of drawn records against the same numbers counted anew in each draw."""

from dataclasses import replace

import numpy as np
import pytest

from leaq.attacks.base import Context
from leaq.attacks.lira import Lira
from leaq.attacks.resampling import advantages, areas, resamples
from leaq.attacks.scoring import Resampling, attack_result
from leaq.stats.roc import auc
from tests.attack_tables import planted
from tests.unit.attacks.cases import ATTACK


@pytest.fixture
def played(rng):
    members = rng.random((3, 25)) < 0.5
    scores = rng.normal(size=(3, 25)).round(1) + members  # ties among them
    return scores, members, np.arange(25) // 2


def copies(drawn, draw):
    """How often each record is in a draw: what the weights of its group say."""
    return np.asarray(drawn.ways.records)[draw].round().astype(int)


def test_the_advantage_of_a_draw_is_that_of_its_records(played):
    scores, members, groups = played
    drawn = resamples(groups, members, draws=40, seed=0)
    decisions = scores > 0.5
    found, draws = advantages(decisions, drawn)
    for model, (said, inside) in enumerate(zip(decisions, members, strict=True)):
        assert found[model] == pytest.approx(said[inside].mean() - said[~inside].mean())
        for draw in range(40):
            often = copies(drawn, draw)
            again, there = np.repeat(said, often), np.repeat(inside, often)
            assert draws[draw, model] == pytest.approx(again[there].mean() - again[~there].mean())


def test_the_area_is_that_of_the_curve_and_its_draws_lie_around_it(played):
    scores, members, groups = played
    found, draws = areas(scores, resamples(groups, members, draws=2000, seed=0))
    np.testing.assert_allclose(found, [auc(row, inside) for row, inside in zip(scores, members, strict=True)])
    np.testing.assert_allclose(draws.mean(0), found, atol=0.02)
    assert (draws.std(0) > 0.02).all()


def test_the_same_models_and_seed_share_their_draws(played):
    _, members, groups = played
    first, again = (resamples(groups, members, draws=7, seed=1) for _ in range(2))
    assert first is again
    assert not np.array_equal(resamples(groups, members, draws=7, seed=2).ways.records, first.ways.records)


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
