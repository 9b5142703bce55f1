"""What is said of the records of one attacked model: too few, repeated, or on both sides."""

import numpy as np
import pytest

from leaq.attacks.doubts import doubts_of_one
from leaq.attacks.threshold import Threshold
from leaq.errors import NotEnoughEvidence
from leaq.types import LossTable


def codes(inside, outside, **options):
    return [flag.code for flag in doubts_of_one(LossTable.from_losses(inside, outside, **options), 0)]


def forest(right, trees=200):
    """Losses of a model that gives few different answers: the share of trees that are right."""
    return -np.log(np.maximum(right, 1) / (trees + 1))


def test_repeated_records_are_doubted_until_copies_have_one_group(rng):
    """Where nothing leaks, copies in both halves of the records teach a threshold about themselves."""
    inside, outside = np.repeat(rng.exponential(1, 150), 5), np.repeat(rng.exponential(1, 150), 5)
    assert codes(inside, outside) == ["equal-losses"]
    found = Threshold()(LossTable.from_losses(inside, outside))
    assert "records repeated" in next(flag.text for flag in found.flags if flag.code == "equal-losses")
    groups = np.repeat(np.arange(300), 5)
    assert codes(inside, outside, groups=groups) == []
    wide = Threshold()(LossTable.from_losses(inside, outside, groups=groups)).advantage
    assert wide.high - wide.low > 1.8 * (found.advantage.high - found.advantage.low)


def test_the_same_records_on_both_sides_are_doubted(rng):
    inside = rng.exponential(0.2, 300)
    table = LossTable.from_losses(inside, np.r_[inside[:40], rng.exponential(1, 260)])
    assert "40 losses stand among members and among non-members" in doubts_of_one(table, 0)[0].text


def test_equal_losses_of_coarse_models_and_coarse_files_are_not(rng):
    assert codes(rng.exponential(0.2, 400), rng.exponential(1, 400)) == []
    assert codes(np.round(rng.exponential(0.2, 4000), 3), np.round(rng.exponential(1, 4000), 3)) == []
    assert codes(rng.exponential(0.2, 4000).astype("f2"), rng.exponential(1, 4000).astype("f2")) == []
    saturated = [np.log1p(np.exp(-rng.normal(at, 4, 900).astype("f4"))) for at in (12, 8)]
    assert codes(*saturated) == []
    assert codes(*(forest(rng.binomial(200, rng.beta(a, b, 500))) for a, b in ((20, 1), (5, 2)))) == []
    assert codes(forest(rng.integers(180, 201, 400)), forest(rng.integers(60, 180, 400))) == []


def test_few_records_are_said_and_fewer_refused(rng):
    assert codes(rng.random(99), rng.random(100)) == ["few-judged"]
    assert codes(rng.random(100), rng.random(100)) == []
    with pytest.raises(NotEnoughEvidence, match="at least 4 members and 4 non-members. Found 3 and 200"):
        codes(rng.random(3), rng.random(200))
    with pytest.raises(NotEnoughEvidence, match="Found 200 and 1"):
        codes(rng.random(200), rng.random(10), groups=np.r_[np.arange(200), np.full(10, 200)])


def test_members_and_others_that_were_exchanged_are_doubted(rng):
    """The threshold then accuses nobody, and 0 [0, 0] looked like a proof."""
    swapped = Threshold()(LossTable.from_losses(rng.exponential(1, 300), rng.exponential(0.1, 300)))
    said = {flag.code: flag.text for flag in swapped.flags}
    assert "were the two exchanged" in said["fits-worse"]
    right = Threshold()(LossTable.from_losses(rng.exponential(0.1, 300), rng.exponential(1, 300)))
    assert not {"fits-worse", "one-verdict"} & {flag.code for flag in right.flags}


def test_a_threshold_that_calls_nobody_a_member_says_so():
    found = Threshold()(LossTable.from_losses(np.full(200, 0.7), np.full(200, 0.7)))
    assert (found.advantage.value, found.advantage.low, found.advantage.high) == (0, 0, 0)
    assert "says nothing of the leak" in next(flag.text for flag in found.flags if flag.code == "one-verdict")


def test_log_likelihoods_given_as_losses_of_several_models_are_doubted(rng):
    halves = [rng.permutation(np.arange(200) < 100) for _ in range(4)]
    members = np.array([side for half in halves for side in (half, ~half)])
    losses = rng.exponential(np.where(members, 0.3, 1.0))
    flagged = [
        {flag.code for flag in Threshold()(LossTable(one[:, None], members, "classification", "pool", 100)).flags}
        for one in (losses, -losses)
    ]
    assert ["fits-worse" in codes for codes in flagged] == [False, True]
