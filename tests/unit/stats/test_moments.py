"""Moments: any grouping of chunks and workers gives the one-shot mean and covariance."""

import numpy as np
import pytest

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.stats.moments import Moments
from tests.helpers import ROUNDING


def chunked(losses, cuts):
    total = Moments(len(losses))
    for part in np.split(losses, cuts, axis=1):
        total.update(part)
    return total


@pytest.mark.parametrize("cuts", [[], [1], [10, 11, 50], [0, 99]])
def test_chunks_give_the_one_shot_result(cuts):
    losses = np.random.default_rng(0).exponential(size=(5, 100)) + 1e6
    found = chunked(losses, cuts)
    np.testing.assert_allclose(found.mean, losses.mean(1), **ROUNDING)
    np.testing.assert_allclose(found.covariance, np.cov(losses), rtol=1e-8)


def test_workers_merge_in_any_grouping():
    losses = np.random.default_rng(1).normal(size=(3, 90))
    parts = [chunked(part, []) for part in np.split(losses, 3, axis=1)]
    left, right = Moments(3), Moments(3)
    for part in parts:
        left.merge(part)
    for part in reversed(parts):
        right.merge(part)
    np.testing.assert_allclose(left.covariance, right.covariance, **ROUNDING)
    assert left.n == right.n == 90


def test_refusals_name_the_candidate_and_the_shape():
    with pytest.raises(InvalidInput, match="Found 1 NaN or infinite values, first in candidate 1"):
        Moments(2).update(np.array([[0.0], [np.nan]]))
    with pytest.raises(InvalidInput, match=r"shape \(2, n\)"):
        Moments(2).update(np.zeros((3, 4)))
    with pytest.raises(NotEnoughEvidence, match="at least 2 records"):
        _ = Moments(2).covariance


@pytest.mark.slow
def test_ten_million_records_stream_to_the_one_shot_result():
    rng = np.random.default_rng(2)
    losses = rng.standard_normal((16, 10_000_000)) + np.arange(16)[:, None]
    found = chunked(losses, list(range(100_000, 10_000_000, 100_000)))
    losses -= losses.mean(1, keepdims=True)
    exact = losses @ losses.T / (losses.shape[1] - 1)
    assert np.linalg.norm(found.covariance - exact) <= 1e-10 * np.linalg.norm(exact)
