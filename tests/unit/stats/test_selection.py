import numpy as np
import pytest

from leaq.errors import InvalidInput
from leaq.stats.selection import choose_smallest, surely_at_least


def coverage(choose, rng, k=8, runs=300):
    """Share of experiments in which the interval of the chosen one holds its truth; all k are equal."""
    hits = 0
    for _ in range(runs):
        values = rng.normal(size=k)
        draws = values + rng.normal(size=(400, k))
        low, high = choose(values, draws)
        hits += low <= 0 <= high
    return hits / runs


def test_the_interval_survives_the_choice(rng):
    def ours(values, draws):
        choice = choose_smallest(values, draws)
        return choice.low, choice.high

    assert coverage(ours, rng) >= 0.92


def test_the_naive_interval_does_not(rng):
    """Negative control: 1.96 standard errors around the winner miss far too often."""
    assert coverage(lambda values, _: (values.min() - 1.96, values.min() + 1.96), rng) < 0.88


def test_the_correction_takes_most_of_the_winners_luck_away(rng):
    naive, corrected = [], []
    for _ in range(200):
        values = rng.normal(size=6)
        choice = choose_smallest(values, values + rng.normal(size=(300, 6)))
        naive.append(values.min())
        corrected.append(choice.value)
    assert np.mean(naive) < -1
    assert abs(np.mean(corrected)) < 0.6 * abs(np.mean(naive))


def test_a_clear_winner_needs_no_correction(rng):
    values = np.array([0.0, 5.0, 6.0])
    choice = choose_smallest(values, values + 0.01 * rng.normal(size=(500, 3)))
    assert (choice.chosen, choice.smallest, choice.tied.tolist()) == (0, 0, [True, False, False])
    assert choice.again[0] == 1
    assert choice.value == pytest.approx(0, abs=0.01)


def test_among_those_not_told_apart_from_the_smallest_the_preferred_one_is_taken(rng):
    values = np.array([0.10, 0.12, 0.30])
    draws = values + 0.001 * rng.normal(size=(500, 3))
    apart = np.array([[0.0, 0.05, 0.05], [0.0, 0.0, 0.05], [0.0, 0.0, 0.0]])
    choice = choose_smallest(values, draws, order=(2, 1, 0), apart=apart)
    assert (choice.chosen, choice.smallest, choice.tied.tolist()) == (1, 0, [True, True, False])
    assert choice.value == pytest.approx(0.12, abs=0.002)
    assert choose_smallest(values, draws, order=(0, 1, 2), apart=apart).chosen == 0


def test_a_preference_among_equals_is_hardly_luck(rng):
    """The preferred one of equals is taken whatever it happens to be: next to nothing has to be corrected."""
    preferred, smallest = [], []
    for _ in range(200):
        values = rng.normal(size=6)
        draws = values + rng.normal(size=(300, 6))
        preferred.append(choose_smallest(values, draws, order=range(6), apart=np.full((6, 6), 20.0)).value)
        smallest.append(choose_smallest(values, draws).optimism)
    assert abs(np.mean(preferred)) < 0.3
    assert np.mean(smallest) > 0.5


def test_no_spread_is_no_division_by_zero():
    values = np.array([1.0, 2.0])
    choice = choose_smallest(values, np.tile(values, (10, 1)))
    assert (choice.low, choice.high) == (1, 1)
    assert surely_at_least(values, np.tile(values, (10, 1))).tolist() == values.tolist()


def test_shapes_are_checked():
    with pytest.raises(InvalidInput, match=r"Needs \(k,\) values and \(b, k\) draws"):
        choose_smallest(np.zeros(3), np.zeros((5, 2)))
