"""Which records a step sees."""

import numpy as np
import pytest
import torch

from leaq.data.splits import halves
from leaq.training import TrainingConfig
from leaq.training.batched import Batches
from tests.unit.training.cases import CONFIG, records


def sizes(counts, *, batch, fewest):
    members = np.arange(max(counts) + 5) < np.array(counts)[:, None]
    batches = Batches(members, TrainingConfig(epochs=1, batch_size=batch), seed=0, first=0, fewest=fewest)
    found = [(weights > 0).sum(1).tolist() for _, weights in batches]
    assert len(found) == batches.total
    return found


@pytest.mark.parametrize(
    ("counts", "batch", "alone", "whole"),
    [
        ([9, 9], 4, [[4, 4], [4, 4], [1, 1]], [[4, 4], [4, 4]]),
        ([10, 10], 4, [[4, 4], [4, 4], [2, 2]], [[4, 4], [4, 4], [2, 2]]),
        ([10, 9], 4, [[4, 4], [4, 4], [2, 1]], [[4, 4], [4, 4]]),  # one model would have a single record
        ([9, 8], 4, [[4, 4], [4, 4]], [[4, 4], [4, 4]]),
        ([3, 3], 4, [[3, 3]], [[3, 3]]),
        ([2, 2], 1, [[1, 1], [1, 1]], [[1, 1], [1, 1]]),  # batches of one are what was asked for
    ],
)
def test_a_last_batch_of_one_record_is_left_out_where_it_is_asked_for(counts, batch, alone, whole):
    assert sizes(counts, batch=batch, fewest=1) == alone
    assert sizes(counts, batch=batch, fewest=2) == whole


def test_batches_lie_where_the_records_lie(rng):
    members = halves(records("classification", rng), 2, seed=0)
    like = torch.empty(0, dtype=torch.float32, device="meta")
    for rows, weights in Batches(members, CONFIG, seed=0, first=0, like=like):
        assert (rows.device.type, weights.device.type, weights.dtype) == ("meta", "meta", torch.float32)
