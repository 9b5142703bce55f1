import numpy as np
import pytest

from leaq.attacks.threshold import Threshold
from leaq.attacks.tokens import against_reference, min_k
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
