from dataclasses import replace

import numpy as np
import pytest

from leaq.attacks.decisions import cross_fitted_decisions
from leaq.attacks.scoring import Resampling, area_gap, attack_result, enough_tpr
from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.stats.roc import auc, tpr_at_fpr, weighted_auc
from leaq.types import Estimate, LossTable, NotComputed
from tests.attack_tables import planted
from tests.unit.attacks.cases import ATTACK


def scored(table, scores=None, **options):
    scores = table.scores if scores is None else scores
    return attack_result(ATTACK, table, scores, targets=range(len(scores)), resampling=Resampling(**options))


def test_a_perfect_score_has_advantage_and_area_one(rng):
    table = planted(rng, n=400)
    found = scored(table, table.members.astype(float))
    assert (found.advantage.value, found.auc.value, found.balanced_accuracy.value) == (1.0, 1.0, 1.0)
    assert found.tpr[0.01].value == 1.0
    assert 0.95 < found.leak_bound.low < 1.0
    assert "pool game" in found.leak_bound.method


def test_a_reversed_score_keeps_its_sign_in_the_area_but_accuses_nobody(rng):
    table = planted(rng, n=400)
    found = scored(table, -table.members.astype(float))
    assert found.auc.value == 0.0
    assert found.advantage.value == 0.0
    assert found.leak_bound.low == 0.0


def test_the_advantage_can_be_negative(rng):
    """Thresholds come from the other half: without a leak about half of all advantages are below 0."""
    values = [scored(planted(rng, leak=0.0, models=2, n=80), draws=20).advantage.value for _ in range(30)]
    assert min(values) < 0 < max(values)


def test_thresholds_never_see_the_records_they_judge(rng):
    table = planted(rng, models=2)
    before = cross_fitted_decisions(table.scores, table.members, table.groups, seed=0)
    flipped = table.members.copy()
    flipped[0, 3] = ~flipped[0, 3]
    after = cross_fitted_decisions(table.scores, flipped, table.groups, seed=0)
    assert before[0, 3] == after[0, 3]


def test_rates_that_rest_on_too_few_false_positives_are_refused(rng):
    found = scored(planted(rng, models=4, n=60), draws=20)
    assert isinstance(found.tpr[0.01], NotComputed)
    assert "needs at least 1,000 non-member trials" in found.tpr[0.01].reason
    enough = planted(rng, models=40, n=60)
    assert isinstance(scored(enough, enough.scores - enough.scores.mean(0), draws=20).tpr[0.01], Estimate)


def test_attackers_without_other_models_are_told_and_say_so(rng):
    table = planted(rng, models=4)
    few, enough = scored(table, draws=20), scored(planted(rng, models=6), draws=20)
    assert "told-threshold" in [flag.code for flag in few.flags]
    assert "the threshold comes from labelled records of the same model" in few.attacker
    assert few.told
    assert "other records' membership being told" in few.leak_bound.method
    assert not enough.told
    assert enough.leak_bound.method == "lower bound on the leak of the pool game"


def test_shadows_that_are_not_attacked_give_the_threshold_too(rng):
    table = planted(rng, models=10, n=200)
    options = {"targets": [0, 1], "resampling": Resampling(draws=20)}
    rescored = replace(ATTACK, scores_from=lambda who, _: table.scores[list(who)])
    found = attack_result(rescored, table, table.scores[:2], **options)
    assert not found.told
    assert attack_result(ATTACK, table, table.scores[:2], **options).told


def test_one_record_accused_in_many_models_is_one_piece_of_evidence(rng):
    """One record draws all false alarms, 12 of 1,200: enough trials, too few records."""
    table = planted(rng, models=40, n=60)
    found = scored(table, table.scores + 100 * (np.arange(60) == 7), draws=20).tpr[0.01]
    assert isinstance(found, NotComputed)
    assert "at least 10 records among its false positives. Found 1, accused 12 times" in found.reason


def test_resampled_areas_agree_with_the_area_computed_anew_each_draw(rng):
    """The draws are linear in the record weights; sorting again each time gives nearly the same spread."""
    table = planted(rng, models=1 * 2, n=600)
    scores, inside = table.scores[0], table.members[0]
    weights = rng.multinomial(600, np.full(600, 1 / 600), size=400).astype(float)
    exact = weighted_auc(scores, inside, weights).std()
    one = attack_result(ATTACK, table, table.scores[:1], targets=[0], resampling=Resampling(draws=400))
    assert (one.auc.high - one.auc.low) / (2 * 1.96) == pytest.approx(exact, rel=0.2)
    assert one.auc.value == pytest.approx(auc(scores, inside))
    assert [flag.code for flag in one.flags] == ["few-models", "told-threshold"]


def test_intervals_read_the_seed_and_the_level(rng):
    table = planted(rng)
    a, b, c = scored(table, seed=1), scored(table, seed=1), scored(table, seed=2)
    assert a.auc == b.auc
    assert a.auc.value == c.auc.value
    assert a.auc.low != c.auc.low
    narrow = scored(table, seed=1, level=0.5)
    assert narrow.auc.high - narrow.auc.low < a.auc.high - a.auc.low


def test_large_curves_are_thinned_to_the_same_curve(rng, monkeypatch):
    table = planted(rng, n=500)
    whole = scored(table, draws=10).roc
    monkeypatch.setattr("leaq.attacks.scoring.CURVE_CELLS", 100)
    thin = scored(table, draws=10).roc
    assert thin.shape[1] <= 302
    for fpr, tpr in thin.T:
        reached = whole[1][whole[0] <= fpr + 1e-12].max()
        assert abs(tpr - reached) < 0.02
    assert tuple(thin[:, -1]) == (1.0, 1.0)


def test_not_finite_scores_name_the_model(rng):
    table = planted(rng)
    scores = table.scores.copy()
    scores[3, 2] = np.nan
    with pytest.raises(InvalidInput, match="probe: scores must be finite. Model 3"):
        scored(table, scores)


def test_only_members_are_refused():
    table = LossTable(np.ones((1, 1, 4)), np.ones((1, 4), bool), "classification", "iid", 4)
    with pytest.raises(NotEnoughEvidence, match="needs members and non-members. Found 4 to 4 members of 4"):
        scored(table, np.ones((1, 4)))


def test_the_gap_of_an_attack_with_itself_is_nothing(rng):
    table = planted(rng)
    same = area_gap(table, table.scores, table.scores, targets=range(12), resampling=Resampling())
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    better = area_gap(table, table.members.astype(float), table.scores, targets=range(12), resampling=Resampling())
    assert better.low > 0


@pytest.mark.parametrize(("models", "remedy"), [(1, "Bring more records."), (2, "Raise --replicates or bring more")])
def test_where_one_model_is_finished_more_of_them_are_no_remedy(models, remedy):
    members = np.tile(np.arange(20) < 10, (models, 1))
    with pytest.raises(NotEnoughEvidence, match=rf"Found {10 * models}\. {remedy}"):
        enough_tpr(np.zeros((models, 20)), members, 0.001)


def test_a_rate_that_no_threshold_gives_is_refused(rng):
    """Losses that round to 0 tie: "0 [0, 0]" of the members is no rate at 1 % where no threshold accuses so few."""
    members = rng.permuted(np.tile(np.arange(600) < 300, (8, 1)), axis=1)
    scores = rng.normal(size=members.shape) + members
    told, records = enough_tpr(scores, members, 0.01)
    assert told == pytest.approx(tpr_at_fpr(scores.ravel(), members.ravel(), 0.01))
    assert records >= 10
    tied = np.where(scores > 0.5, 0.5, scores)
    share = (tied[~members] == 0.5).mean()
    with pytest.raises(NotEnoughEvidence, match=rf"accuses so few non-members\. Found {share:.1%} of them with one"):
        enough_tpr(tied, members, 0.01)
    few = np.where(scores > np.sort(scores[~members])[-30], 9.0, scores)  # the 29 above tie: fewer than 1 % of 2,400
    assert 30 > 0.01 * (~members).sum() > 20
    with pytest.raises(NotEnoughEvidence, match="one and the same score"):
        enough_tpr(few, members, 0.01)
    assert enough_tpr(few, members, 0.02)[1] >= 10


def test_where_every_record_is_told_right_the_interval_does_not_end_there(rng):
    """By hand: of 40 members all found, the exact interval goes down to 0.025 ** (1 / 40); the other 40 likewise."""
    half = np.arange(80) < 40
    table = replace(planted(rng, n=80, models=2), members=np.stack([half, ~half]))
    found = scored(table, table.members.astype(float))
    share = 1 - 0.025 ** (1 / 80)  # every record is a member of one of the two models and none of the other
    assert found.advantage.value == found.auc.value == 1
    assert found.advantage.low == pytest.approx(1 - 2 * share)
    assert found.auc.low == pytest.approx((1 - share) ** 2)
    assert (found.advantage.high, found.auc.high) == (1, 1)


def test_that_no_member_was_found_does_not_say_that_none_can_be(rng):
    members = rng.permuted(np.tile(np.arange(600) < 300, (8, 1)), axis=1)
    table = replace(planted(rng, n=600, models=8), members=members)
    quiet = np.where(members, -1.0, rng.random(members.shape))
    rate = scored(table, quiet).tpr[0.01]
    assert (rate.value, rate.low) == (0, 0)
    assert rate.high == pytest.approx(1 - 0.025 ** (1 / members.any(0).sum()))
