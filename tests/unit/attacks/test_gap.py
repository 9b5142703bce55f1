import numpy as np
import pytest

from leaq.attacks.base import Context
from leaq.attacks.gap import adaptive_gap
from leaq.types import NotComputed
from tests.attack_tables import planted, with_


def test_full_precision_shadows_are_misled_by_an_offset_a_record(rng):
    reference = planted(rng, n=300, models=16, leak=1.5)
    table = with_(reference, scores=reference.scores + 3 * rng.normal(size=300))
    assert adaptive_gap(Context(table, reference)).low > 0.05
    assert adaptive_gap(Context(table, reference), normalise=False).low > 0.05


@pytest.mark.parametrize("normalise", [True, False])
def test_without_a_change_there_is_no_gap(normalise, rng):
    table = planted(rng)
    same = adaptive_gap(Context(table, table), normalise=normalise)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(("offset", "left"), [(0.0, 1e-12), (1.0, 0.02)])
def test_normalising_closes_the_gap_of_a_common_move(offset, left, rng):
    """A quantizer that shrinks all margins and moves classes apart: only the careless audit misses much."""
    reference = planted(rng, n=300, models=16, leak=1.5)
    table = with_(reference, scores=0.3 * reference.scores + 1 + offset * (np.arange(300) % 3))
    assert abs(adaptive_gap(Context(table, reference)).value) < left
    assert adaptive_gap(Context(table, reference), normalise=False).low > 0.05


def test_the_interval_is_paired_and_counts_all_pairs(rng):
    reference = planted(rng, n=100)
    table = with_(reference, scores=reference.scores + 0.1 * rng.normal(size=reference.scores.shape))
    found = adaptive_gap(Context(table, reference, targets=range(6)))
    assert found.n == 6 * 100
    assert found.high - found.low < 0.05
    assert "paired" in found.method


def test_too_few_models_leave_it_out(rng):
    table = planted(rng, models=4)
    found = adaptive_gap(Context(table, table))
    assert isinstance(found, NotComputed)
    assert "at least 4 shadow models" in found.reason


def test_without_a_reference_it_is_left_out(rng):
    found = adaptive_gap(Context(planted(rng)))
    assert isinstance(found, NotComputed)
    assert "same models in full precision" in found.reason
