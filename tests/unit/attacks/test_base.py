"""What all attacks share: ingredients, the words for their absence, and whom they attack."""

import numpy as np
import pytest

from leaq.attacks.base import Context
from leaq.attacks.lira import Lira
from leaq.attacks.registry import parse_attacks
from leaq.attacks.threshold import Threshold
from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.types import AttackResult, NotComputed
from tests.attack_tables import planted, with_


def test_a_run_says_why_an_attack_is_missing(rng):
    table = with_(planted(rng, models=4, n=200), whitebox=None)
    found = {attack.spec(): attack.run(Context(table)) for attack in parse_attacks(["default", "quantile"])}
    assert isinstance(found["threshold"], AttackResult)
    reasons = {name: item.reason for name, item in found.items() if isinstance(item, NotComputed)}
    assert "at least 4 shadow" in reasons["lira"]
    assert "with_whitebox" in reasons["whitebox"]
    assert "features" in reasons["quantile"]
    assert "the same models in full precision" in reasons["lira(shadows=full_precision)"]
    assert "at least 8 models" in reasons["combined"]


def test_what_cannot_be_had_is_told_in_the_words_given(rng):
    context = Context(planted(rng), lacking={"whitebox": "This model has no weights. Leave whitebox out."})
    [attack] = parse_attacks(["whitebox"])
    assert attack.run(context) == NotComputed("This model has no weights. Leave whitebox out.")


def test_only_the_chosen_models_are_attacked(rng):
    table = planted(rng, n=200)
    found = Lira()(table, targets=range(5))
    assert found.auc.n == 5 * 200
    assert "10 shadow models" in found.attacker


def test_targets_that_are_not_there_are_refused(rng):
    with pytest.raises(InvalidInput, match=r"targets must name models 0..11. Found \[12\]"):
        Lira()(planted(rng), targets=[12])


def test_shadows_are_counted_over_the_targets(rng):
    table = planted(rng)
    alone = np.r_[table.members[:4], ~np.eye(1, 60, dtype=bool)]  # the last model has no complement
    context = Context(with_(table, members=alone, losses=table.losses[:5], scores=table.scores[:5], whitebox=None))
    assert context.shadows_of() == "3 to 4"


def test_a_missing_reference_is_named(rng):
    with pytest.raises(InvalidInput, match="needs the same models in full precision. Found none"):
        _ = Context(planted(rng)).reference_signals


def test_who_is_told_members_bounds_no_epsilon_and_says_so(rng):
    table = planted(rng, n=200)
    assert Threshold(per="label")(table).told
    assert isinstance(Threshold(per="label")(table).epsilon, NotComputed)
    assert not Lira()(table).told


def test_per_record_risk_is_given_by_who_has_shadows(rng):
    table = planted(rng, n=80)
    risk = Lira()(table).risk
    assert risk.shape == (80,)
    assert risk.mean() > 0.2
    assert Threshold()(table).risk is None


def test_what_is_attacked_must_hold_members_and_others(rng):
    table = planted(rng)
    members = table.members.copy()
    members[0] = True
    with pytest.raises(NotEnoughEvidence, match="needs members and non-members"):
        Threshold()(with_(table, members=members))
