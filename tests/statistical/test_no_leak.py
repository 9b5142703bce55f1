"""No leak: an interval at nominal 5 % excludes blind guessing in at most 7 % of the audits. A planted leak is found."""

from functools import partial

import numpy as np
import pytest

from leaq.attacks.calibrated import calibrated
from leaq.attacks.file import file
from leaq.attacks.lira import lira
from leaq.attacks.quantile import quantile
from leaq.attacks.rmia import rmia
from leaq.attacks.scoring import Protocol
from leaq.attacks.suite import attack_names
from leaq.attacks.threshold import threshold, threshold_classwise
from leaq.attacks.whitebox import whitebox
from tests.attack_tables import planted, with_file

ATTACKS = {
    "threshold": threshold,
    "threshold-classwise": threshold_classwise,
    "quantile": lambda table, *, protocol: quantile(table, table.scores.mean(0)[:, None], protocol=protocol),
    "calibrated": calibrated,
    "rmia-offline": partial(rmia, mode="offline"),
    "rmia": rmia,
    "lira-nonadaptive": lambda table, *, protocol: lira(table, shadows=other_precision(table), protocol=protocol),
    "lira-offline": partial(lira, mode="offline"),
    "lira-online": lira,
    "lira-online-per-record": partial(lira, variance="per_record"),
    "whitebox": whitebox,
    "file": lambda table, *, protocol: file(
        *with_file(np.random.default_rng(protocol.seed), table, leak=0.0), protocol=protocol
    ),
}
RUNS = {"quantile": 100}
SIZES = {"quantile": {"n": 320, "models": 4}}
"""Where 300 audits of 120 records and 12 models are too many to regress on, or the records too few."""

pytestmark = pytest.mark.slow


def other_precision(table):
    """The same models with more noise in their signals."""
    noise = np.random.default_rng(0).normal(size=table.scores.shape)
    return type(table)(**{**vars(table), "scores": table.scores + noise})


def test_every_attack_is_here():
    assert tuple(ATTACKS) == attack_names(["all"])


@pytest.fixture(scope="module")
def audits():
    """Audits of models that leak nothing, by attack: what every rate below is counted in."""
    found = {}

    def of(attack):
        if attack not in found:
            rng = np.random.default_rng(20260213)
            size = {"n": 120, "models": 12, **SIZES.get(attack, {})}
            found[attack] = [
                ATTACKS[attack](planted(rng, leak=0.0, **size), protocol=Protocol(draws=100, seed=run))
                for run in range(RUNS.get(attack, 300))
            ]
        return found[attack]

    return of


def shares(results):
    """Share of audits that raise a false alarm (a leak that is not there), by number; and of two-sided misses."""
    return {
        "advantage": np.mean([item.advantage.low > 0 for item in results]),
        "auc": np.mean([item.auc.low > 0.5 for item in results]),
        "epsilon": np.mean([getattr(item.epsilon, "low", 0.0) > 0 for item in results]),
        "auc, two-sided": np.mean([not item.auc.low <= 0.5 <= item.auc.high for item in results]),
    }


@pytest.mark.parametrize("attack", ATTACKS)
def test_false_positive_rate(attack, audits):
    """Each tail of a 95 % interval may hold 2.5 %, both together 5 %."""
    assert {name: share for name, share in shares(audits(attack)).items() if share > 0.07} == {}


def test_a_leak_raises_the_alarm_that_the_rate_counts(rng):
    found = [lira(planted(rng, leak=1.0, n=120, models=12), protocol=Protocol(draws=100)) for _ in range(50)]
    assert shares(found)["advantage"] > 0.95
