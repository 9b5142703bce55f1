"""No leak: an interval at nominal 5 % excludes blind guessing in at most 5 % of the audits. A planted leak is found."""

from dataclasses import replace

import numpy as np
import pytest

from leaq.attacks.registry import attack_families, build_attack
from leaq.attacks.scoring import Resampling
from tests.attack_tables import grouped, planted, uneven_groups, with_file

ATTACKS = attack_families()["all"]
RUNS = {"quantile": 100}
SIZES = {"quantile": {"n": 320, "models": 4}}
"""Where 300 audits of 120 records and 12 models are too many to regress on, or the records too few."""

pytestmark = pytest.mark.slow


def attacked(spec, table, **options):
    """The result of an attack that is given whatever it may want beside the table."""
    noise = np.random.default_rng(0).normal(size=table.scores.shape)
    reference = replace(table, scores=table.scores + noise)  # the same models with more noise in their signals
    features = table.scores.mean(0)[:, None]
    if spec == "file":
        table, features = with_file(np.random.default_rng(options.get("seed", 0)), table, leak=0.0)
    return build_attack(spec)(
        table, reference=reference, features=features, resampling=Resampling(draws=100, **options)
    )


@pytest.fixture(scope="module")
def audits():
    """Audits of models that leak nothing, by attack: what every rate below is counted in."""
    found = {}

    def of(attack):
        if attack not in found:
            rng = np.random.default_rng(20260213)
            size = {"n": 120, "models": 12, **SIZES.get(attack, {})}
            runs = range(RUNS.get(attack, 300))
            found[attack] = [attacked(attack, planted(rng, leak=0.0, **size), seed=run) for run in runs]
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


def too_often(results):
    """The shares above 5 % by more than two standard errors of a share of so many audits."""
    allowed = 0.05 + 2 * np.sqrt(0.05 * 0.95 / len(results))
    return {name: share for name, share in shares(results).items() if share > allowed}


@pytest.mark.parametrize("attack", ATTACKS)
def test_false_positive_rate(attack, audits):
    """Each tail of a 95 % interval may hold 2.5 %, both together 5 %; the bound on epsilon is one-sided at 5 %."""
    assert too_often(audits(attack)) == {}


def test_a_leak_raises_the_alarm_that_the_rate_counts(rng):
    found = [attacked("lira", planted(rng, leak=1.0, n=120, models=12)) for _ in range(50)]
    assert shares(found)["advantage"] > 0.95


UNEVEN = ("threshold", "calibrated(normalise=False)", "rmia", "lira(normalise=False)", "lira", "combined")


@pytest.mark.parametrize("kind", ["scaffolds", "patients"])
@pytest.mark.parametrize("attack", UNEVEN)
def test_false_positive_rate_of_uneven_groups_and_models_that_move_as_a_whole(attack, kind):
    """Whole groups are members or not, and each model's signals are moved by one sd: still no alarm without a leak."""
    rng, groups = np.random.default_rng(5), uneven_groups(kind)
    results = [attacked(attack, grouped(rng, groups, models=8), fprs=(), seed=run) for run in range(100)]
    assert too_often(results) == {}


def test_a_leak_of_uneven_groups_raises_the_alarm():
    rng = np.random.default_rng(5)
    groups = uneven_groups("scaffolds")
    leaky = [attacked("lira", grouped(rng, groups, leak=1.0, models=8)) for _ in range(10)]
    assert shares(leaky)["advantage"] > 0.9
