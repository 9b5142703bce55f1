"""Intervals of advantage and AUC hold the truth as often as they say: simulated audits, truth = their mean.

Records differ in difficulty, leak and noise; the leak varies by a quarter between models; noise is Student-distributed
(4 degrees); groups hold three records on average; an offset moves all signals of a model together.
"""

import numpy as np
import pytest

from leaq.attacks.registry import build_attack
from leaq.attacks.scoring import Resampling
from leaq.types import LossTable
from tests.attack_tables import paired_members

RAW = "lira(normalise=False)"
ATTACKS = (RAW, "threshold", "lira", "combined(sees=outputs)")
CELLS = [
    (attack, models, n, offset)
    for attack in ATTACKS
    for models in (8, 16)
    for n in (200, 300, 1000, 3000)
    for offset in (0.0, 1.0)
    if attack == RAW or not offset  # the others take the offset out, or are told by the model's own records
]
GROUPED = 300


def varied(rng, models, n, offset, *, leak=1.0):
    groups = np.sort(rng.integers(0, n // 3, n)) if n == GROUPED else np.arange(n)
    _, code = np.unique(groups, return_inverse=True)
    size = int(code.max()) + 1
    members = paired_members(rng, models, size)[:, code]
    difficulty = rng.normal(size=size)[code] + 0.3 * rng.normal(size=n)
    shift = leak * rng.gamma(2, 0.5, size=size)[code]
    noise = np.exp(0.3 * rng.normal(size=size))[code] * rng.standard_t(4, size=(models, n)) / np.sqrt(2)
    strength = 1 + 0.25 * rng.normal(size=(models, 1))
    scores = difficulty + noise + strength * shift * members + offset * rng.normal(size=(models, 1))
    return LossTable(
        losses=np.logaddexp(0, -scores)[:, None],
        members=members,
        task="classification",
        game="pool",
        n_train=n // 2,
        scores=scores,
        targets=np.arange(n) % 2,
        groups=groups,
    )


def coverage(attack, models, n, *, offset, runs, level=0.95):
    """Share of audits whose interval holds the mean over audits: of the advantage, of the AUC."""
    rng = np.random.default_rng(77)
    found = []
    for run in range(runs):
        result = build_attack(attack)(
            varied(rng, models, n, offset), resampling=Resampling(seed=run, fprs=(), level=level)
        )
        found.append([(each.value, each.low, each.high) for each in (result.advantage, result.auc)])
    values = np.array(found)
    truth = values[:, :, 0].mean(0)
    return ((values[:, :, 1] <= truth) & (truth <= values[:, :, 2])).mean(0)


@pytest.mark.slow
@pytest.mark.parametrize(("attack", "models", "n", "offset"), CELLS)
def test_intervals_cover(attack, models, n, offset):
    """At least 92 % at nominal 95 %, less two standard errors of the share itself."""
    runs = 150 if n < 3000 else 100
    assert coverage(attack, models, n, offset=offset, runs=runs).min() >= 0.92 - 2 * np.sqrt(0.92 * 0.08 / runs)


def test_intervals_cover_in_short():
    assert coverage(RAW, 8, 200, offset=1.0, runs=30).min() >= 0.8


def test_intervals_of_half_the_level_are_caught_in_short():
    """Negative control: the same count finds intervals that promise 50 % to hold far less than 95 %."""
    assert coverage(RAW, 8, 200, offset=1.0, runs=30, level=0.5).max() < 0.9
