import numpy as np
import pytest

from leaq.attacks.risk import effect_size, identified_records, p_values, separation
from leaq.attacks.signals import normalised
from leaq.errors import NotEnoughEvidence
from leaq.types import LossTable
from tests.attack_tables import planted


def test_effect_size_is_the_standardised_difference_of_means(rng):
    table = planted(rng, n=10)
    found = effect_size(table.scores, table.members)
    for i in range(10):
        inside, outside = table.scores[table.members[:, i], i], table.scores[~table.members[:, i], i]
        squares = ((inside - inside.mean()) ** 2).sum() + ((outside - outside.mean()) ** 2).sum()
        assert found[i] == pytest.approx(abs(inside.mean() - outside.mean()) / np.sqrt(squares / 10))


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_planted_records_are_identified_and_no_others(task, rng):
    table = planted(rng, leak=0.0, n=200, models=32, task=task)
    scores = table.scores.copy()
    scores[:, :20] += 6 * table.members[:, :20]
    table = LossTable(**{**vars(table), "scores": scores})
    found = identified_records(table)
    assert found[:20].all()
    assert found[20:].mean() < 0.05
    assert set(np.argsort(-effect_size(normalised(table), table.members))[:20]) == set(range(20))


def test_equal_signals_identify_nobody(rng):
    table = planted(rng)
    assert not identified_records(LossTable(**{**vars(table), "scores": np.ones_like(table.scores)})).any()
    assert (p_values(np.ones_like(table.scores), table.members, "greater") == 1).all()


def test_one_model_on_a_side_is_refused(rng):
    with pytest.raises(NotEnoughEvidence, match="in and out of at least 2 models. Found 1"):
        identified_records(planted(rng, models=2))


def test_separation_is_signed_by_who_is_right(rng):
    members = planted(rng, n=30).members
    scores = rng.normal(size=members.shape) + 5 * members
    scores[:, :10] *= -1
    found = separation(scores, members)
    assert (found[:10] < -2).all()
    assert (found[10:] > 2).all()
    np.testing.assert_allclose(np.abs(found), effect_size(scores, members))


def test_separation_is_not_known_where_one_kind_is_missing(rng):
    table = planted(rng, n=6)
    members = table.members.copy()
    members[:, 2], members[:, 4] = True, False
    found = separation(table.scores, members)
    assert np.isnan(found[[2, 4]]).all()
    assert np.isfinite(np.delete(found, [2, 4])).all()
