import numpy as np
import pytest

from leaq.errors import NotEnoughEvidence
from leaq.measures.shift import shift, shift_doubt


def test_a_visible_shift_is_flagged_with_its_auc(rng):
    found = shift(rng.normal(0, 1, (150, 4)), rng.normal(1.2, 1, (150, 4)))
    assert found.low > 0.7
    assert f"AUC {found.value:.2f}" in shift_doubt(found)[0].text


def test_a_shift_in_spread_alone_is_seen(rng):
    assert shift(rng.normal(0, 1, (300, 2)), rng.normal(0, 3, (300, 2))).low > 0.6


def test_draws_of_one_source_are_not_flagged():
    found = [shift(*np.random.default_rng(seed).normal(size=(2, 100, 5)), draws=100) for seed in range(4)]
    assert sum(bool(shift_doubt(one)) for one in found) <= 1
    assert abs(np.mean([one.value for one in found]) - 0.5) < 0.08


def test_too_few_records_are_refused(rng):
    with pytest.raises(NotEnoughEvidence, match="needs 20 members and 20 non-members. Found 19 and 30"):
        shift(rng.normal(size=(19, 2)), rng.normal(size=(30, 2)))
