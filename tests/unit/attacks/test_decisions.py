import numpy as np
import pytest

from leaq.attacks.decisions import cross_fitted_decisions, pairs_of, thresholds_by_others
from leaq.stats.roc import best_threshold
from tests.attack_tables import paired_members, planted


def gain(scores, positive, limit):
    return (scores[positive] > limit).mean() - (scores[~positive] > limit).mean()


def test_the_threshold_is_the_best_on_the_other_models_alone(rng):
    """Against trying them: the models that are neither the target nor its complement, equally weighted."""
    table = planted(rng, models=8, n=60)
    found = thresholds_by_others(table.scores, table.members)
    for target in range(8):
        others = [i for i in range(8) if i // 2 != target // 2]
        pooled, truth = table.scores[others].ravel(), table.members[others].ravel()
        reached, best = (gain(pooled, truth, limit) for limit in (found[target], best_threshold(pooled, truth)))
        assert reached == pytest.approx(best)


def test_membership_in_the_target_and_its_complement_moves_no_threshold_of_theirs(rng):
    table = planted(rng, models=8, n=60)
    before = thresholds_by_others(table.scores, table.members)
    members = table.members.copy()
    members[2] = rng.permutation(members[2])
    members[3] = ~members[2]
    after = thresholds_by_others(table.scores, members)
    assert before[2:4].tolist() == after[2:4].tolist()
    assert before[0] != after[0]


@pytest.mark.parametrize(("models", "enough"), [(2, False), (4, False), (6, True)])
def test_three_others_are_needed(models, enough, rng):
    table = planted(rng, models=models)
    assert (thresholds_by_others(table.scores, table.members) is not None) == enough


def test_many_scores_are_thinned_to_nearly_the_same_threshold(rng, monkeypatch):
    table = planted(rng, models=8, n=400)
    fine = thresholds_by_others(table.scores, table.members)
    monkeypatch.setattr("leaq.attacks.decisions.CUTS", 500)
    np.testing.assert_allclose(thresholds_by_others(table.scores, table.members), fine, atol=0.5)


def test_complements_and_copies_share_a_pair(rng):
    members = paired_members(rng, 6, 20)
    assert pairs_of(members).tolist() == [0, 0, 1, 1, 2, 2]
    assert pairs_of(np.r_[members[:1], members[2:3], members[:1]]).tolist() == [0, 1, 0]


def test_a_half_of_one_kind_accuses_nobody_instead_of_ending_the_attack():
    """Two large groups, one of members and one of others: neither half can teach a threshold."""
    groups = np.repeat([0, 1], 20)
    members = np.repeat([True, False], 20)[None]
    decisions = cross_fitted_decisions(np.arange(40.0)[None], members, groups, seed=0)
    assert not decisions.any()
