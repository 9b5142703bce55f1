import numpy as np
import pytest

from leaq.attacks.threshold import Threshold
from leaq.attacks.tokens import WINDOWS, against_reference, by_windows, min_k, windowed
from leaq.errors import InvalidInput
from leaq.types import LossTable


@pytest.fixture
def tables(rng):
    """Texts of very different difficulty; training lowers the loss of each by a little."""
    difficulty = rng.normal(3, 1, 300)
    own = difficulty - 0.3 * (np.arange(300) < 150) + rng.normal(0, 0.1, 300)
    other = difficulty + rng.normal(0, 0.1, 300)
    return LossTable.from_losses(own[:150], own[150:]), LossTable.from_losses(other[:150], other[150:])


def test_calibration_takes_difficulty_out(tables):
    table, reference = tables
    assert against_reference(table, reference).advantage.low > 0.6
    assert Threshold()(table).advantage.high < 0.4


def test_a_reference_that_is_the_model_itself_finds_nothing(tables):
    assert against_reference(tables[0], tables[0]).advantage.value == 0


def test_min_k_ranks_by_the_given_log_probabilities(tables):
    table, _ = tables
    assert min_k(table, np.where(table.members, -1.0, -2.0)).advantage.value == 1
    assert min_k(table, np.where(table.members, -2.0, -1.0)).advantage.value <= 0


def test_other_records_are_refused(tables):
    table, _ = tables
    with pytest.raises(InvalidInput, match="must be evaluated on the same records"):
        against_reference(table, LossTable.from_losses([1.0], [2.0]))
    with pytest.raises(InvalidInput, match="needs one value a record"):
        min_k(table, np.zeros((1, 3)))


def votes(gain):
    """The definition one window after the other."""
    shares = []
    for length in WINDOWS:
        starts = range(len(gain) - length + 1)
        if starts:
            shares.append(sum(sum(gain[i : i + length]) > 0 for i in starts) / len(starts))
    return sum(shares) / len(shares)


def test_windows_vote_as_defined(rng):
    assert WINDOWS == (2, 3, 4, 5, 8, 11, 15, 21, 29, 40)
    for length in (2, 7, 40, 120):
        gain = rng.normal(size=length)
        assert windowed(gain) == pytest.approx(votes(gain))
    assert windowed(np.array([0.5])) == 1.0


def test_many_small_gains_outvote_a_few_enormous_differences(rng):
    """Half of the texts gained a little everywhere; a single token of every text differs by anything."""
    gains = rng.normal(0, 1, size=(200, 300)) + 0.4 * (np.arange(200) < 100)[:, None]
    gains[np.arange(200), rng.integers(300, size=200)] += rng.normal(0, 500, 200)
    other = rng.normal(-3, 1, size=gains.shape)
    own = other + gains
    table = LossTable.from_losses(-own[:100].mean(1), -own[100:].mean(1))
    reference = LossTable.from_losses(-other[:100].mean(1), -other[100:].mean(1))
    assert by_windows(table, list(own), list(other)).advantage.value > 0.8
    assert against_reference(table, reference).advantage.value < 0.4


def test_windows_need_the_same_tokens(tables):
    with pytest.raises(InvalidInput, match="same tokens of all 300 texts. Found 1 and 1 texts, 3 and 2 tokens"):
        by_windows(tables[0], [np.zeros(3)], [np.zeros(2)])


def test_normalised_log_probabilities_have_a_name_of_their_own(tables):
    table, _ = tables
    assert min_k(table, table.released, normalised=True).attack == "min-k++"
