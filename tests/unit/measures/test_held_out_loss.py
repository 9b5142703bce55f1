import numpy as np
import pytest

from leaq.measures.held_out_loss import held_out_drop, held_out_loss
from leaq.types import LossTable


def test_means_are_of_non_members(rng):
    outside = rng.exponential(1.0, 200)
    table = LossTable.from_losses(np.zeros(50), outside)
    found = held_out_loss(table)
    assert found.value == pytest.approx(outside.mean())
    assert found.low < outside.mean() < found.high
    assert found.n == 200


def test_a_constant_cost_has_no_doubt(rng):
    outside = rng.exponential(1.0, 50)
    before, after = LossTable.from_losses(np.zeros(5), outside), LossTable.from_losses(np.zeros(5), outside + 0.25)
    found = held_out_drop(after, before)
    assert (found.low, found.value, found.high) == pytest.approx((0.25, 0.25, 0.25))
