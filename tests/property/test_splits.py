"""Halves and joined groups under generated shapes, against slow twins; a broken split is caught."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from leaq.data.splits import halves, joined_groups
from leaq.types import Samples

GROUPS = st.lists(st.integers(0, 12), min_size=4, max_size=60)


def samples_of(groups):
    groups = np.array(groups, dtype=np.int64)
    return Samples(inputs=np.arange(len(groups))[:, None] * 1.0, targets=groups / 7, task="regression", groups=groups)


def violations(members, groups):
    """Count what a split must never do: tear a group apart, or differ by more than the largest group."""
    groups = np.array(groups)
    torn = sum(0 < row[groups == group].sum() < (groups == group).sum() for row in members for group in set(groups))
    largest = np.bincount(groups).max()
    uneven = sum(abs(2 * int(row.sum()) - len(groups)) > largest for row in members)
    return torn + uneven


@given(groups=GROUPS, seed=st.integers(0, 99))
@settings(max_examples=60)
def test_groups_stay_together_and_halves_are_even(groups, seed):
    members = halves(samples_of(groups), 4, seed=seed)
    assert violations(members, groups) == 0
    assert (members.sum(0) == 2).all()


def test_a_split_by_records_is_caught():
    groups = [0, 0, 0, 1, 1, 2, 2, 3]
    broken = np.array([[True, False] * 4, [False, True] * 4])
    assert violations(broken, groups) > 0


def slow_joined(first, second):
    """Merge labels until nothing changes."""
    label = list(range(len(first)))
    for _ in first:
        for i in range(len(first)):
            for j in range(len(first)):
                if first[i] == first[j] or second[i] == second[j]:
                    label[i] = label[j] = min(label[i], label[j])
    return np.unique(label, return_inverse=True)[1]


@given(pairs=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12))
@settings(max_examples=60)
def test_joined_agrees_with_the_slow_twin(pairs):
    first, second = (np.array(part) for part in zip(*pairs, strict=True))
    found, slow = joined_groups(first, second), slow_joined(first, second)
    np.testing.assert_array_equal(found[:, None] == found, slow[:, None] == slow)


def test_the_largest_groups_fall_on_either_side_independently():
    """Scaffolds of a real data set: one of 253 of 1,117 molecules, a second of 90, and a tail of single ones."""
    groups = np.repeat(np.arange(724), [253, 90, 40, 20, *[2] * 17, *[1] * 703])[:1117]
    members = halves(samples_of(groups.tolist()), 400, seed=3)[::2]
    first, second = members[:, 0], members[:, 253]
    assert 0.4 < (first == second).mean() < 0.6
    assert 0.4 < first.mean() < 0.6
    assert np.abs(2 * members.sum(1) - len(groups)).max() <= 1
    share = members[:, -400:].mean(0)
    assert 0.35 < share.min() <= share.max() < 0.65
