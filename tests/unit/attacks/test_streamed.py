"""What is streamed is what is found in memory, whatever the blocks, and in memory that does not grow."""

import numpy as np
import pytest

from leaq.attacks import streamed as module
from leaq.attacks.blocks import Block
from leaq.attacks.calibrated import Calibrated
from leaq.attacks.lira import Lira
from leaq.attacks.scoring import Resampling
from leaq.attacks.streamed import streamed
from leaq.attacks.threshold import Threshold
from leaq.types import LossTable, NotComputed
from tests.unit.attacks.cases import cut, tables

ATTACKS = (Threshold(), Calibrated(normalise=False), Lira(normalise=False), Lira(mode="offline", normalise=False))


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.spec())
@pytest.mark.parametrize("size", [3000, 701, 2999], ids=["one block", "several", "a last one of one record"])
def test_it_is_what_is_found_in_memory(attack, size, rng):
    members, losses, scores = tables(rng)
    table = LossTable(losses[:, None], members, "classification", "pool", 1500, scores=scores)
    known = attack(table)
    (found,) = streamed(cut(members, losses, scores, size), [attack]).values()
    assert found.auc.value == pytest.approx(known.auc.value, abs=1e-3)
    assert found.advantage.value == pytest.approx(known.advantage.value, abs=0.012)
    assert found.tpr[0.01].value == pytest.approx(known.tpr[0.01].value, abs=0.01)
    assert found.told is known.told or isinstance(attack, Threshold)
    width, expected = (one.advantage.high - one.advantage.low for one in (found, known))
    assert 0.5 < width / expected < 1.6
    assert isinstance(found.epsilon, NotComputed)


def test_what_waits_and_what_is_scored_at_once_change_nothing(rng, monkeypatch):
    members, losses, scores = tables(rng)
    known = streamed(cut(members, losses, scores, 701))
    monkeypatch.setattr(module, "CELLS", 500)
    monkeypatch.setattr(module, "WAITING", 900)
    found = streamed(cut(members, losses, scores, 701))
    assert {name: one.auc for name, one in found.items()} == {name: one.auc for name, one in known.items()}
    assert [one.advantage for one in found.values()] == [one.advantage for one in known.values()]


def test_nothing_is_found_where_nothing_leaks(rng):
    members, _, scores = tables(rng)
    scores = scores - 0.8 * members
    for found in streamed(cut(members, np.logaddexp(0, -scores), scores, 1000)).values():
        assert found.advantage.low < 0 < found.advantage.high
        assert found.auc.low < 0.5 < found.auc.high


def test_one_model_is_attacked_by_its_losses(rng):
    members = rng.random((1, 20_000)) < 0.3
    losses = rng.exponential(np.where(members, 0.2, 1.0))
    found = streamed(lambda: [Block(members, losses)], resampling=Resampling(seed=3))["threshold"]
    assert found.advantage.low < 0.535 < found.advantage.high  # exponentials: the best possible
    assert found.told
    assert found.advantage.high - found.advantage.low < 0.06
    assert [flag.code for flag in found.flags] == ["few-models"]


def test_few_false_alarms_are_told_apart_where_nearly_all_high_scores_are_members(rng):
    """One non-member in a thousand is one record in ten thousand: ends at quantiles of all scores are few there."""
    members = rng.random((1, 200_000)) < 0.9
    losses = rng.exponential(np.where(members, 0.02, 1.0))
    found = streamed(lambda: [Block(members, losses)])["threshold"].tpr[0.001]
    exact = 1 - 0.999 ** (1 / 0.02)  # members below the loss that one non-member in a thousand is below
    assert found.low < exact < found.high
    assert found.value == pytest.approx(exact, abs=0.01)


def test_one_model_has_the_doubts_that_it_has_in_memory(rng):
    """Losses that are all the same were given a rate of 0 [0, 0] at one false accusation in a hundred."""
    members = rng.random((1, 20_000)) < 0.5
    same = streamed(lambda: [Block(members, np.full(members.shape, 0.7))])["threshold"]
    assert [flag.code for flag in same.flags] == ["few-models", "one-verdict"]
    assert "one and the same score there" in same.tpr[0.01].reason
    swapped = streamed(lambda: [Block(members, rng.exponential(np.where(members, 1.0, 0.2)))])["threshold"]
    assert [flag.code for flag in swapped.flags] == ["few-models", "fits-worse"]
    few = streamed(lambda: [Block(members[:, :60], rng.exponential(size=(1, 60)))])["threshold"]
    assert "few-judged" in [flag.code for flag in few.flags]


@pytest.mark.parametrize("models", [10, 5], ids=["shadows enough", "too few, were the first block's complements true"])
def test_models_that_look_like_complements_at_first_only_are_shadows_of_each_other(models, rng):
    members, losses, scores = tables(rng, models=2 * ((models + 1) // 2))
    members, losses, scores = (each[:models].copy() for each in (members, losses, scores))
    last = slice(2000, None)
    members[:, last] = rng.random((models, 1000)) < 0.5
    kept = np.r_[np.ones(2000, bool), np.isin(members[:, last].sum(0), range(2, models - 1))]
    members, losses, scores = (each[:, kept] for each in (members, losses, scores))
    whole = streamed(cut(members, losses, scores, 3000))
    found = streamed(cut(members, losses, scores, 1000))
    assert "lira(normalise=False)" in found
    for name, one in found.items():
        assert one.auc.value == pytest.approx(whole[name].auc.value, abs=2e-3)
