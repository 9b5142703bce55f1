"""Normalised signals: a move of a whole model changes nothing, and nothing blows up where there is no signal."""

import numpy as np
import pytest

from leaq.attacks.signals import PRIOR, Signals, centred_by_class, normalised
from leaq.errors import InvalidInput
from tests.attack_tables import planted, with_
from tests.helpers import ROUNDING


@pytest.mark.parametrize(("stretch", "offset"), [(3.0, 0.0), (0.01, 5.0), (1.0, -1e3)])
def test_a_common_move_of_one_model_changes_no_margin(stretch, offset, rng):
    table = planted(rng)
    scores = table.scores.copy()
    scores[3] = stretch * scores[3] + offset
    np.testing.assert_allclose(normalised(with_(table, scores=scores)), normalised(table), rtol=1e-7, atol=1e-9)


def test_an_offset_of_a_class_leaves_what_the_prior_keeps_of_it(rng):
    """A class of c records keeps 5 / (c + 5) of its offset from the mean over classes: the more records, the less."""
    left = []
    for n in (30, 300, 3000):
        table = planted(rng, n=n)
        classes = np.asarray(table.targets)
        scores = np.where(classes == 1, 1.0, -0.5) + 0.0 * table.scores
        found = centred_by_class(scores + 1e-12, classes)
        assert np.isfinite(found).all()
        moved = centred_by_class(table.scores + scores, classes)
        left.append(np.abs(moved - centred_by_class(table.scores, classes)).max())
        assert left[-1] < 3 * PRIOR / (n / 3 + PRIOR)
    assert left[0] > left[1] > left[2]


@pytest.mark.parametrize("targets", [True, False])
def test_a_common_offset_of_one_regressors_predictions_changes_nothing(targets, rng):
    table = planted(rng, task="regression")
    table = table if targets else with_(table, targets=None)
    scores = table.scores.copy()
    scores[3] -= 7.0
    np.testing.assert_allclose(normalised(with_(table, scores=scores)), normalised(table), rtol=1e-9, atol=1e-9)


def test_a_stretch_of_one_regressors_predictions_changes_nothing(rng):
    table = planted(rng, task="regression")
    standard = (table.targets - table.targets.mean()) / table.targets.std()
    scores = table.scores.copy()
    scores[3] = standard - 0.2 * (standard - scores[3])  # predictions a fifth as wide
    np.testing.assert_allclose(normalised(with_(table, scores=scores)), normalised(table), rtol=1e-9, atol=1e-9)


def test_other_models_and_memberships_do_not_enter(rng):
    table = planted(rng)
    one = with_(table, **{name: getattr(table, name)[3:4] for name in ("losses", "scores", "whitebox", "members")})
    np.testing.assert_allclose(normalised(table)[3:4], normalised(one), **ROUNDING)
    np.testing.assert_array_equal(normalised(table), normalised(with_(table, members=~table.members)))


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9])
def test_a_model_that_says_the_same_of_every_record_has_no_signal(value, rng):
    table = planted(rng)
    scores = table.scores.copy()
    scores[2] = value
    found = normalised(with_(table, scores=scores))
    assert (found[2] == 0).all()
    np.testing.assert_array_equal(np.delete(found, 2, 0), np.delete(normalised(table), 2, 0))


def test_a_class_of_one_record_keeps_most_of_its_signal(rng):
    """Its own mean is the record itself: without the prior nothing would be left."""
    values = rng.normal(size=(1, 50))
    classes = np.r_[0, np.ones(49, int)]
    values[0, 0] = 10.0
    assert centred_by_class(values, classes)[0, 0] > 4


def test_the_spread_over_the_pool_is_one(rng):
    for found in (normalised(planted(rng)), *Signals(planted(rng)).gradients):
        np.testing.assert_allclose(found.std(1), 1)


def test_kinds(rng):
    table = planted(rng, task="regression")
    signals = Signals(table)
    np.testing.assert_array_equal(signals.of("auto", normalise=False), table.scores)
    np.testing.assert_array_equal(signals.of("magnitude", normalise=False), -np.abs(table.scores))
    np.testing.assert_array_equal(signals.of("magnitude"), -np.abs(normalised(table)))
    np.testing.assert_array_equal(signals.of("loss"), -table.released)
    assert len(signals.outputs) == 4
    assert len(Signals(planted(rng)).outputs) == 2
    assert len(signals.gradients) == 3
    assert Signals(with_(table, whitebox=None)).gradients == ()


def test_signals_of_the_other_task_or_not_finite_are_refused(rng):
    table = planted(rng)
    with pytest.raises(InvalidInput, match="a classification needs score_kind='margin'. Found 'residual'"):
        Signals(with_(table, score_kind="residual")).of("auto")
    with pytest.raises(InvalidInput, match=r"must hold scores .margins or residuals.. Found losses only"):
        Signals(with_(table, scores=None)).of("auto")
    scores = table.scores.copy()
    scores[4, 1] = -np.inf
    for normalise in (True, False):
        with pytest.raises(InvalidInput, match=r"must be finite. Found 1 \(.* at \[4"):
            Signals(with_(table, scores=scores)).of("auto", normalise=normalise)
