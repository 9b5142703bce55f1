"""The attack on all records together: what neighbours' memberships do to a signal is no noise to it."""

import numpy as np
import pytest

from leaq.attacks import combined
from leaq.attacks import neighbours as room
from leaq.attacks.base import Context
from leaq.attacks.combined import Combined
from leaq.attacks.lira import Lira
from leaq.attacks.neighbours import BINS, ByNeighbours, Hood, most_alike
from leaq.errors import InvalidInput
from leaq.stats.roc import auc
from tests.attack_tables import paired_members, planted, with_

CLUSTERS = 40


def crowded(rng, *, task="classification", models=12, n=240, pull=0.3):
    """Records in clusters, half of them loud: whose membership shows at once, and moves all others of its cluster."""
    table = planted(rng, models=models, n=n, leak=0.0, task=task)
    cluster = np.arange(n) % CLUSTERS
    features = np.eye(CLUSTERS)[cluster] + 0.01 * rng.normal(size=(n, CLUSTERS))
    move = np.where(np.arange(n) < n // 2, 4.0, 1.0)
    passed = pull * ((cluster[:, None] == cluster) & ~np.eye(n, dtype=bool)) * move[:, None]
    scores = 0.5 * rng.normal(size=(models, n)) + move * table.members + (table.members - 0.5) @ passed
    if task == "regression":
        return with_(table, scores=scores, losses=(scores**2)[:, None], targets=100 * rng.normal(size=n)), features
    return with_(table, scores=scores, losses=np.logaddexp(0, -scores)[:, None], targets=cluster % 2), features


def area(table, attack, features, targets=None):
    targets = range(len(table.members)) if targets is None else targets
    scores = attack.scores(Context(table, features=features), targets)
    return np.mean([auc(row, table.members[one]) for row, one in zip(scores, targets, strict=True)])


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_what_neighbours_did_is_taken_out(task, rng):
    table, features = crowded(rng, task=task)
    alone, together = (area(table, one, features) for one in (Lira(variance="hierarchical"), ByNeighbours()))
    assert together > alone + 0.025


def test_the_combined_attack_reads_it(rng):
    table, features = crowded(rng)
    outputs = Combined(sees="outputs")
    assert area(table, outputs, features) > area(table, outputs, None) + 0.04
    said = [outputs.knows(Context(table, features=one)) for one in (features, None)]
    assert ["alike" in one for one in said] == [True, False]


def test_what_is_said_is_believed_by_the_record_it_is_said_of(rng, monkeypatch):
    """Each piece times shift, level and narrowing of the record stands beside it, and the ratio untamed."""
    table, features = crowded(rng)
    known, given = [], []

    def watched(self, alone, first, *rest, real=combined._Evidence.given):
        known.append(alone)
        given.append(real(self, alone, first, *rest))
        return given[-1]

    monkeypatch.setattr(combined._Evidence, "given", watched)
    Combined(sees="outputs").scores(Context(table, features=features), [0])
    alone, found = known[0], given[0].reshape(*given[0].shape[:2], 2, 14)  # two signals: normalised, and raw
    for place in range(2):
        tamed, crossed, ratio = np.split(found[:, :, place], [4, 13], axis=2)
        record = alone[:, :, 6 * place + 3 : 6 * place + 6]
        for column in range(3):
            np.testing.assert_allclose(crossed[..., 3 * column : 3 * column + 3], tamed[..., [column]] * record)
        assert (abs(ratio) <= 30).all()
        most = np.log1p(30)
        np.testing.assert_allclose(np.copysign(np.log1p(abs(ratio)), ratio), tamed[..., :1].clip(-most, most))


def test_features_that_say_nothing_cost_little(rng):
    table = planted(rng, n=300, models=12)
    noise = rng.normal(size=(300, 5))
    assert area(table, ByNeighbours(), noise) > area(table, Lira(variance="hierarchical"), noise) - 0.015
    outputs = Combined(sees="outputs")
    assert area(table, outputs, noise) > area(table, outputs, None) - 0.015


def test_memberships_nobody_trained_on_are_not_found(rng):
    """Real clusters, whose signals move together; the memberships asked about moved none of them."""
    table, features = crowded(rng, models=8)
    fresh = [with_(table, members=paired_members(rng, 8, 240)) for _ in range(12)]
    assert np.mean([area(one, ByNeighbours(), features) for one in fresh]) == pytest.approx(0.5, abs=0.025)


def test_neighbours_of_the_other_class_are_told_apart(rng):
    """Two clusters of both classes: five of the nine others of a cluster are of the other class."""
    features, classes = np.repeat(np.eye(2), 10, axis=0), np.arange(20) % 2
    apart, together = Hood(features, classes), Hood(features)
    members = np.zeros((1, 20))
    members[0, 0] = 1
    seen = apart.sums(members.T)[:, :, 0].T
    assert seen.shape == (20, 2 * BINS)
    assert together.sums(members.T).shape == (BINS, 20, 1)
    assert seen[2, BINS:].sum() == 1
    assert seen[2, :BINS].sum() == 0  # record 2 is of the class of record 0, record 1 is not
    assert seen[1, BINS:].sum() == 0
    assert seen[1, :BINS].sum() == 1
    told = rng.normal(size=(2 * BINS, 20, 1))  # what is passed on by is what is summed over
    assert np.sum(apart.passed_on(told)[:, 0] * members[0]) == pytest.approx(np.sum(told[:, :, 0] * seen.T))


def test_targets_are_looked_at_a_few_at_a_time(rng, monkeypatch):
    """Of a large pool the sums over neighbours of a few targets are held at once, with the same scores."""
    table, features = crowded(rng)
    attacks = ByNeighbours(), Combined(sees="outputs")
    targets = range(len(table.members))
    whole = [one.scores(Context(table, features=features), targets) for one in attacks]
    for module in (room, combined):
        monkeypatch.setattr(module, "SUMS" if module is room else "AT_ONCE", 1)
    for one, expected in zip(attacks, whole, strict=True):
        np.testing.assert_allclose(one.scores(Context(table, features=features), targets), expected, rtol=1e-6)


def test_of_a_large_pool_random_sums_of_wide_records_are_compared(rng, monkeypatch):
    cluster = np.arange(80) % 4
    features = np.repeat(np.eye(4), 50, axis=1)[cluster] + 0.1 * rng.normal(size=(80, 200))
    monkeypatch.setattr(room, "NEAREST", 19)
    whole = most_alike(features)[0]
    monkeypatch.setattr(room, "MANY", 10)
    monkeypatch.setattr(room, "WIDE", 32)
    monkeypatch.setattr(room, "AT_ONCE", 500)
    for near in (whole, most_alike(features)[0]):
        assert (cluster[near] == cluster[:, None]).mean() > 0.95


def test_records_that_are_all_alike_have_neighbours_too(rng):
    table = planted(rng, n=40)
    assert np.isfinite(ByNeighbours().scores(Context(table, features=np.ones((40, 3))), [0, 1])).all()


def test_features_of_other_records_are_refused(rng):
    with pytest.raises(InvalidInput, match="needs features of all 60 records. Found 59 rows"):
        ByNeighbours().scores(Context(planted(rng), features=np.ones((59, 2))), [0])
