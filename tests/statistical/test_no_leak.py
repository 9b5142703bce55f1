"""No leak: an interval at nominal 5 % excludes blind guessing in at most 7 % of the audits. A planted leak is found."""

import numpy as np
import pytest

from leaq.measures.calibrated import calibrated
from leaq.measures.lira import lira
from leaq.measures.rmia import rmia
from leaq.measures.scoring import Protocol
from leaq.measures.threshold import threshold, threshold_classwise
from leaq.measures.whitebox import whitebox
from tests.attack_tables import planted

ATTACKS = [threshold, threshold_classwise, calibrated, rmia, lira, whitebox]
RUNS = 300

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_false_positive_rate(attack, rng):
    """One-sided alarms (a leak that is not there) count; each tail of a 95 % interval may hold 2.5 %."""
    alarms = {"advantage": 0, "auc": 0, "epsilon": 0}
    for run in range(RUNS):
        found = attack(planted(rng, leak=0.0, n=120, models=12), protocol=Protocol(draws=100, seed=run))
        alarms["advantage"] += found.advantage.low > 0
        alarms["auc"] += found.auc.low > 0.5
        alarms["epsilon"] += getattr(found.epsilon, "low", 0.0) > 0
    assert {name: count / RUNS for name, count in alarms.items() if count / RUNS > 0.07} == {}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_two_sided_coverage_of_blind_guessing(attack, rng):
    missed = 0
    for run in range(RUNS):
        found = attack(planted(rng, leak=0.0, n=120, models=12), protocol=Protocol(draws=100, seed=run))
        missed += not found.auc.low <= 0.5 <= found.auc.high
    assert missed / RUNS <= 0.07


def test_a_planted_leak_is_found_in_nearly_every_audit(rng):
    found = [lira(planted(rng, leak=1.0, n=120, models=12), protocol=Protocol(draws=100)) for _ in range(50)]
    assert np.mean([item.advantage.low > 0 for item in found]) > 0.95
