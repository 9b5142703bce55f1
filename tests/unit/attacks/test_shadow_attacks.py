"""What shadow attacks refuse, and what they must and must not find."""

import numpy as np
import pytest
from leaq.attacks.suite import Field, adaptive_gap, attack_names, run_attacks

from leaq.attacks.calibrated import calibrated
from leaq.attacks.lira import lira, lira_scores
from leaq.attacks.quantile import quantile
from leaq.attacks.rmia import rmia, rmia_scores
from leaq.attacks.threshold import threshold, threshold_classwise
from leaq.attacks.whitebox import whitebox
from leaq.errors import InvalidInput, NotEnoughEvidence, UnknownName
from leaq.types import AttackResult, LossTable, NotComputed
from tests.attack_tables import planted

SHADOW_ATTACKS = [lira, rmia, calibrated, whitebox]


def with_(table, **fields):
    return LossTable(**{**vars(table), **fields})


@pytest.mark.parametrize("attack", SHADOW_ATTACKS)
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_planted_leak_is_found(attack, task, rng):
    found = attack(planted(rng, leak=2.0, task=task, n=300, models=16))
    assert found.advantage.low > 0.1
    assert found.auc.low > 0.55
    assert "14 shadow models" in found.attacker


@pytest.mark.parametrize("attack", SHADOW_ATTACKS)
def test_nothing_is_found_where_nothing_leaks(attack, rng):
    found = attack(planted(rng, leak=0.0, n=300, models=16))
    assert abs(found.auc.value - 0.5) < 0.03
    assert found.epsilon.low < 0.3


def test_shadows_take_out_the_difficulty_a_threshold_cannot(rng):
    table = planted(rng, leak=1.0, n=400, models=16)
    assert lira(table).auc.low > threshold(table).auc.high


@pytest.mark.parametrize("attack", SHADOW_ATTACKS)
def test_fewer_than_four_shadows_are_refused(attack, rng):
    with pytest.raises(
        NotEnoughEvidence, match="at least 4 shadow models beside the target and its complement. Found 2"
    ):
        attack(planted(rng, models=4))


@pytest.mark.parametrize(("value", "word"), [(False, "in none"), (True, "out of none")])
def test_a_record_never_in_or_never_out_is_named(value, word, rng):
    table = planted(rng)
    members = table.members.copy()
    members[:, 7] = value
    with pytest.raises(NotEnoughEvidence, match=rf"1 row \(7\) are {word} of"):
        lira(with_(table, members=members))


def test_a_regression_is_refused_by_a_classification_score(rng):
    table = with_(planted(rng), task="regression")
    with pytest.raises(InvalidInput, match="a regression has no classification margin"):
        lira(table)
    with pytest.raises(InvalidInput, match="needs a classification with targets"):
        threshold_classwise(planted(rng, task="regression"))


def test_not_finite_logits_are_refused(rng):
    table = planted(rng)
    scores = table.scores.copy()
    scores[2, 5] = np.nan
    with pytest.raises(InvalidInput, match=r"scores must be finite. Found 1 \(nan at \[2, 5\]"):
        lira(with_(table, scores=scores))


def test_missing_ingredients_are_named(rng):
    table = planted(rng)
    with pytest.raises(InvalidInput, match=r"must hold scores \(margins or residuals\). Found losses only"):
        lira(with_(table, scores=None))
    with pytest.raises(InvalidInput, match="with_whitebox adds them"):
        whitebox(with_(table, whitebox=None))


def test_shadows_of_other_models_are_refused(rng):
    with pytest.raises(InvalidInput, match="same models and records"):
        lira(planted(rng), shadows=planted(rng))


def test_a_variance_per_record_needs_two_shadows_a_side(rng):
    table = planted(rng, models=8)
    members = np.zeros_like(table.members)
    members[0, :-1], members[1, -1] = True, True
    with pytest.raises(NotEnoughEvidence, match="at least 2 shadows in and 2 out"):
        lira_scores(with_(table, members=members), variance="per_record", targets=[3])


def test_unknown_options_are_refused(rng):
    with pytest.raises(InvalidInput, match="mode must be online or offline"):
        lira(planted(rng), mode="inline")
    with pytest.raises(InvalidInput, match="gamma >= 1"):
        rmia_scores(planted(rng), gamma=0.5)


def test_quantile_attack_finds_what_stands_out_from_its_like(rng):
    """Difficulty is a function of the features: the regression takes it out without any shadow."""
    x = rng.normal(size=(400, 2))
    table = planted(rng, n=400, models=2, leak=0.0)
    scores = 3 * x[:, 0] + rng.normal(size=(2, 400)) + 2 * table.members
    table = with_(table, scores=scores, losses=np.logaddexp(0, -scores)[:, None])
    found = quantile(table, x)
    assert found.auc.value > threshold(table).auc.value + 0.05
    assert "no shadow models" in found.attacker


def test_quantile_attack_refuses_wrong_features_and_few_records(rng):
    with pytest.raises(InvalidInput, match="finite array with 60 rows"):
        quantile(planted(rng), np.zeros((5, 2)))
    with pytest.raises(NotEnoughEvidence, match="at least 50 known non-members"):
        quantile(planted(rng), np.zeros((60, 2)))


def test_classwise_thresholds_flag_small_classes(rng):
    assert [flag.code for flag in threshold_classwise(planted(rng, n=60)).flags] == ["small-classes"]
    assert threshold_classwise(planted(rng, n=300)).flags == ()


def test_the_suite_says_why_an_attack_is_missing(rng):
    table = with_(planted(rng, models=4, n=200), whitebox=None)
    found = run_attacks(Field(table, table), ["default", "quantile"])
    assert isinstance(found["threshold"], AttackResult)
    reasons = {name: item.reason for name, item in found.items() if isinstance(item, NotComputed)}
    assert "at least 4 shadow" in reasons["lira"]
    assert "with_whitebox" in reasons["whitebox"]
    assert "features" in reasons["quantile"]


def test_unknown_attacks_name_the_closest():
    with pytest.raises(UnknownName, match="Did you mean 'lira'"):
        attack_names(["lira-onlin"])
    with pytest.raises(UnknownName, match="Did you mean 'rmia'"):
        attack_names(["rmai"])
    assert attack_names(["lira", "loss"]) == ("threshold", "lira")


def test_only_the_chosen_models_are_attacked(rng):
    table = planted(rng, n=200)
    found = run_attacks(Field(table, table, targets=range(5)), ["lira"])["lira"]
    assert found.auc.n == 5 * 200


def test_the_adaptive_gap_is_a_number(rng):
    """The quantizer shifts every score by a record's own offset: full-precision shadows are then misled."""
    reference = planted(rng, n=300, models=16, leak=1.5)
    table = with_(reference, scores=reference.scores + 3 * rng.normal(size=300))
    assert adaptive_gap(Field(table, reference)).low > 0.05
    assert adaptive_gap(Field(reference, reference)).value == 0.0
    assert isinstance(adaptive_gap(Field(planted(rng, models=4), planted(rng, models=4))), NotComputed)
