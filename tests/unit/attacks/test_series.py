"""Series inference: nothing where nothing leaks, more than from single records where a little does."""

import numpy as np
import pytest

from leaq.attacks.base import Context
from leaq.attacks.lira import Lira
from leaq.attacks.series import series_inference
from leaq.errors import NotEnoughEvidence
from leaq.types import LossTable

GROUPS = np.repeat(np.arange(60), np.arange(60) % 5 + 2)


def table(rng, leak, models=12):
    """Signals shared within groups and models, and a lead of `leak` standard deviations on members."""
    half = np.stack([rng.permutation(np.arange(60) % 2) == 0 for _ in range(models // 2)])
    members = np.empty((models, len(GROUPS)), dtype=bool)
    members[::2], members[1::2] = half[:, GROUPS], ~half[:, GROUPS]
    scores = rng.normal(size=members.shape) + 0.3 * rng.normal(size=(1, 60))[:, GROUPS] + leak * members
    return LossTable(-scores[:, None], members, "classification", "pool", len(GROUPS) // 2, scores=scores)


def test_a_planted_leak_adds_up_over_groups(rng):
    found = table(rng, 1.0)
    single, series = Lira()(found), series_inference(Context(found), GROUPS)
    assert series.advantage.low > 0
    assert series.advantage.value > single.advantage.value + 0.15
    assert series.advantage.unit == "group-model pairs"
    assert series.advantage.n == 12 * 60
    assert series.attack == "series(lira)"
    assert "asks about whole groups of records" in series.attacker
    assert "Asked about 60 groups of 2 to 6 records (median 4)" in series.flags[-1].text


def test_no_leak_gives_no_advantage(rng):
    found = [series_inference(Context(table(rng, 0.0)), GROUPS).advantage.value for _ in range(6)]
    assert abs(np.mean(found)) < 0.06


def test_scores_are_the_sums_over_records(rng):
    found = table(rng, 0.5)
    context = Context(found)
    records = Lira().scores(context, range(12))
    by_hand = np.stack([records[:, group == GROUPS].sum(1) for group in range(60)], axis=1)
    members = np.stack([found.members[:, group == GROUPS].all(1) for group in range(60)], axis=1)
    from leaq.stats.roc import auc

    expected = np.mean([auc(score, inside) for score, inside in zip(by_hand, members, strict=True)])
    assert series_inference(context, GROUPS).auc.value == pytest.approx(expected)


def test_what_is_missing_is_said(rng):
    found = table(rng, 0.5)
    with pytest.raises(NotEnoughEvidence, match="at least 10 groups. Found 2. Name a column"):
        series_inference(Context(found), GROUPS % 2)
    with pytest.raises(NotEnoughEvidence, match="hold all of a group or nothing of it. Model 0 holds"):
        series_inference(Context(found), np.roll(GROUPS, 1))
