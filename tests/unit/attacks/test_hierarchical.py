"""Hierarchical LiRA: more than a fixed variance finds where records differ, the same where they do not."""

import numpy as np
import pytest

from leaq.attacks.base import Context
from leaq.attacks.hierarchical import EVIDENCE, Splines, predictive
from leaq.attacks.lira import Lira
from leaq.attacks.shadows import InOut, Shadows
from leaq.stats.roc import auc
from tests.attack_tables import paired_members, planted, with_


def heterogeneous(rng, models, n=600):
    """Hard records are moved by training and vary between models; easy ones hardly do either."""
    members = paired_members(rng, models, n)
    level = rng.uniform(-3, 3, n)
    spread = np.exp(-level / 3)
    scores = level + spread * rng.normal(size=(models, n)) + 1.2 * members * np.logaddexp(0, -level)
    return with_(planted(rng, models=models, n=n), scores=scores, members=members, targets=np.zeros(n, int))


def statistics(signals):
    """Even models trained on every record, odd ones on none: as the shadows of a model that is not among them."""
    means = [signals[first::2].mean(0) for first in (0, 1)]
    squares = [((signals[first::2] - mean) ** 2).sum(0) for first, mean in enumerate(means)]
    count = np.full(signals.shape[1], len(signals) // 2)
    return InOut(*means, *squares, count, count)


def area(table, attack):
    scores = attack.scores(Context(table), range(len(table.members)))
    return np.mean([auc(row, inside) for row, inside in zip(scores, table.members, strict=True)])


@pytest.mark.parametrize("models", [6, 10])
def test_with_few_shadows_it_finds_more_where_records_differ(models, rng):
    """4 and 8 shadows: more than one variance for all, and more than a variance a record from two or four signals."""
    table = heterogeneous(rng, models)
    ours = area(table, Lira(variance="hierarchical", normalise=False))
    for variance in ("fixed", "per_record"):
        assert ours > area(table, Lira(variance=variance, normalise=False)) + 0.01


def test_where_records_are_alike_it_orders_them_as_lira_does(rng):
    table = planted(rng, n=400, models=32, leak=1.5)
    scores = [Lira(variance=variance).scores(Context(table), [0])[0] for variance in ("fixed", "hierarchical")]
    ranks = [row.argsort().argsort() for row in scores]
    assert np.corrcoef(*ranks)[0, 1] > 0.97
    areas = [auc(row, table.members[0]) for row in scores]
    assert areas[1] == pytest.approx(areas[0], abs=0.03)


def test_constant_signals_say_nothing(rng):
    table = planted(rng, n=40)
    for signals in (np.zeros_like(table.scores), np.full_like(table.scores, 5.0)):
        found = predictive(Shadows(signals, table.members).of(0, attack="probe"))
        np.testing.assert_allclose(found.log_ratio(signals[0]), 0, atol=1e-6)
        assert np.isfinite(found.evidence(signals[0])).all()


@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_few_records_are_enough(n, rng):
    signals = rng.normal(size=(12, n)) + np.tile([[True], [False]], (6, n))
    found = predictive(statistics(signals))
    evidence = found.evidence(signals[0])
    assert evidence.shape == (n, len(EVIDENCE))
    assert np.isfinite(evidence).all()


def test_one_shadow_on_a_side_has_no_variance_of_its_own(rng):
    """Counts of 1 on one side everywhere: the variance is what is known of nothing, but finite and positive."""
    n = 30
    once, often = np.ones(n, np.int64), np.full(n, 5)
    mean_in, mean_out = rng.normal(1, 1, n), rng.normal(0, 1, n)
    found = predictive(InOut(mean_in, mean_out, np.zeros(n), rng.chisquare(4, n), once, often))
    for values in (found.variance_in, found.variance_out):
        assert np.isfinite(values).all()
        assert (values > 0).all()
    assert np.isfinite(found.log_ratio(rng.normal(size=n))).all()


def test_many_shadows_speak_for_themselves_and_few_borrow(rng):
    """One record's spread is ten times the others': after 200 shadows it is seen, after 4 it is mostly shrunk."""
    ratios = []
    for models in (6, 202):
        signals = rng.normal(size=(models, 200)) + np.tile([[True], [False]], (models // 2, 200))
        signals[:, 0] *= 10
        found = predictive(statistics(signals))
        ratios.append(found.variance_out[0] / np.median(found.variance_out))
    assert ratios[1] > 60
    assert ratios[0] < ratios[1]


def test_a_curve_of_equal_levels_is_their_mean(rng):
    values = rng.normal(size=20)
    found = Splines(np.full((1, 20), 3.0)).smoothed(values[None], np.ones((1, 20)))
    np.testing.assert_allclose(found[0], values.mean())
