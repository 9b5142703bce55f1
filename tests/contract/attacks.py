"""What every attack promises, as checks that take the attack: the suite runs them, and controls must fail them."""

from functools import lru_cache

import numpy as np

from leaq.attacks.base import Context
from leaq.attacks.scoring import Resampling
from leaq.types import LossTable
from tests.attack_tables import planted, with_

WORLDS = {
    "2 classes": {"classes": 2},
    "5 classes": {"classes": 5},
    "regression": {"task": "regression"},
}
MODELS, RECORDS = 12, 300
CLOSE = {"rtol": 1e-6, "atol": 1e-7}
"""Sums over all models less those left out round differently when what is left out changes; nothing else may differ."""


KNOWN = (np.random.default_rng(5).random((RECORDS, 60)) < 0.1).astype(float)
"""What is known of each record beside its difficulty: what the numbers of the file are sums of."""


def filed(table, leak):
    """The table with the numbers of released files, which tell who the members are as far as there is a leak."""
    rng = np.random.default_rng(6)
    share = table.members @ (KNOWN - KNOWN.mean(0)) / table.members.sum(1, keepdims=True)
    told = (leak > 0) * share + share.std() * rng.normal(size=share.shape) / (1 + leak)
    numbers = np.hstack([rng.normal(size=(len(share), 1)), told])
    return with_(table, numbers={"columns.mean": numbers, "bias": rng.normal(size=(len(share), 4))})


def context_of(table, **options):
    """Everything there is beside a table: full precision is the same signal with noise, features tell difficulty."""
    noise = np.random.default_rng(7).normal(size=table.losses[:, 0].shape)
    scores = None if table.scores is None else table.scores + 0.3 * noise
    difficulty = (table.released if scores is None else scores).mean(0)[:, None]
    features = np.hstack([difficulty, KNOWN])
    return Context(table, with_(table, scores=scores), features=features, **options)


@lru_cache
def world(name, leak=1.0, models=MODELS, seed=0):
    """The table of a world, made once."""
    return filed(planted(np.random.default_rng(seed), models=models, n=RECORDS, leak=leak, **WORLDS[name]), leak)


def no_leak(name, seed):
    """Models that leak nothing and could pass for leaking: each is moved as a whole, and records come in groups of 3
    that share their membership and part of their signal.
    """
    rng = np.random.default_rng(seed)
    groups = np.arange(RECORDS) // 3
    drawn = planted(rng, models=MODELS, n=RECORDS // 3, leak=0.0)
    table = planted(rng, models=MODELS, n=RECORDS, leak=0.0, **WORLDS[name])
    scores = table.scores + drawn.scores[:, groups] / 2 + rng.normal(size=(MODELS, 1))
    losses = np.logaddexp(0, -scores) if table.task == "classification" else scores**2
    table = with_(
        table, members=drawn.members[:, groups], scores=scores, losses=losses[:, None], groups=groups.astype(np.int64)
    )
    return filed(table, 0.0)


def redrawn(table, target, seed=1):
    """The same signals, but another membership of the target and its complement."""
    members = table.members.copy()
    first = target // 2 * 2
    members[first] = np.random.default_rng(seed).permutation(members[first])
    members[first + 1] = ~members[first]
    return with_(table, members=members)


def spoilt(table, pair, seed=2):
    """Other members and quite other signals of one pair of models."""
    rng = np.random.default_rng(seed)
    arrays = {name: getattr(redrawn(table, pair), name).copy() for name in ("members", "scores", "losses", "whitebox")}
    for name in ("scores", "losses", "whitebox"):
        arrays[name][pair : pair + 2] = 3 * rng.exponential(size=arrays[name][pair : pair + 2].shape)
    numbers = {kind: values.copy() for kind, values in table.numbers.items()}
    for values in numbers.values():
        values[pair : pair + 2] = 3 * rng.exponential(size=values[pair : pair + 2].shape)
    return with_(table, **arrays, numbers=numbers)


def check_blind_to_the_target(attack, table, target=4):
    """No membership in the target or its complement enters its scores."""
    before, after = (attack.scores(context_of(one), [target]) for one in (table, redrawn(table, target)))
    np.testing.assert_allclose(after, before, **CLOSE)


def check_blind_to_the_excluded(attack, table, target=4, pair=8):
    """Neither membership nor signals of the excluded models enter the scores; those of others do."""
    out = [pair, pair + 1]
    other = spoilt(table, pair)
    before, after = (attack.scores(_same_features(one, table), [target], out) for one in (table, other))
    np.testing.assert_allclose(after, before, **CLOSE)
    if "shadows" in attack.needs:
        assert np.abs(attack.scores(_same_features(other, table), [target]) - before).max() > 1e-3


def _same_features(table: LossTable, known: LossTable) -> Context:
    """The context of a table with features that are those of another: what is known of a record does not change."""
    mine = context_of(table)
    return Context(table, mine.reference, features=context_of(known).features)


def check_shape_and_bits(attack, table):
    """Finite scores of the models asked for, the same bits each time, whoever else is asked for."""
    chosen = [0, 3, 7]
    one, again = (attack.scores(context_of(table), chosen) for _ in range(2))
    assert one.shape == (3, table.members.shape[1])
    assert one.dtype == np.float64
    assert np.isfinite(one).all()
    np.testing.assert_array_equal(one, again)
    if attack.tells != "scores":  # who is told members is told a half of them, drawn by the order of the targets
        # Several targets are one matrix product, which rounds differently from that of one.
        np.testing.assert_allclose(attack.scores(context_of(table), [7]), one[2:], **CLOSE)


def check_finds_nothing(attack, name):
    """Where nothing leaks the interval holds blind guessing, on each of two audits."""
    for seed in (11, 12):
        found = attack.attack(context_of(no_leak(name, seed), resampling=Resampling(level=0.999, draws=100)))
        assert abs(found.advantage.value) < 0.15
        assert abs(found.auc.value - 0.5) < 0.1
        assert found.advantage.low <= 0
        assert found.auc.low <= 0.5 <= found.auc.high


def check_finds_a_leak(attack, table):
    """A leak of two standard deviations is found."""
    context = context_of(table, resampling=Resampling(draws=50))
    found = attack.attack(context)
    few = (
        len(attack.attacked(context)) < 6
    )  # whose advantage, of four models at thresholds of their own, is known badly
    assert (found.advantage.value - 0.1 if few else found.advantage.low) > 0.1
    assert found.auc.low > 0.55
    assert found.attack == attack.spec()
