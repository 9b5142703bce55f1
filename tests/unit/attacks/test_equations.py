"""The joint solution against the equations written out one record at a time."""

import numpy as np
import pytest

from leaq.attacks import equations
from leaq.attacks.equations import Design, conjugate_gradients


def test_sums_and_their_transpose_are_the_products_with_centred_features(rng):
    features, records, sums = rng.normal(size=(30, 5)), rng.random((3, 30)), rng.normal(size=(3, 5))
    design, centred = Design(features), features - features.mean(0)
    np.testing.assert_allclose(design.sums(records), records @ centred)
    np.testing.assert_allclose(design.records(sums), sums @ centred.T)
    np.testing.assert_allclose(design.weight, (centred**2).sum(0) / 4)


def test_products_that_skip_zeros_are_the_same(rng, monkeypatch):
    features = np.where(rng.random((40, 50)) < 0.05, 1.0, 0.0)
    records, sums = rng.random((2, 40)), rng.normal(size=(2, 50))
    whole = Design(features)
    monkeypatch.setattr(equations, "SPARSE_FROM", 0)
    skipping = Design(features)
    assert skipping._sparse is not None
    np.testing.assert_allclose(skipping.sums(records), whole.sums(records), atol=1e-12)
    np.testing.assert_allclose(skipping.records(sums), whole.records(sums), atol=1e-12)


def test_weights_and_factors_are_the_same_where_zeros_are_skipped(rng, monkeypatch):
    features = np.where(rng.random((40, 50)) < 0.05, rng.integers(1, 4, (40, 50)), 0) / 3
    features[:, 0], factors, records = 1 / 3, rng.normal(size=40), rng.random((2, 40))  # a column that never varies
    whole = Design(features)
    monkeypatch.setattr(equations, "SPARSE_FROM", 0)
    skipping = Design(features)
    np.testing.assert_allclose(skipping.weight, whole.weight, atol=1e-12)
    assert skipping.weight[0] == 0
    for one in (whole, skipping):
        found = one.times(factors, features)
        centred = features * factors[:, None] - (features * factors[:, None]).mean(0)
        np.testing.assert_allclose(found.sums(records), records @ centred, atol=1e-12)
        np.testing.assert_allclose(found.weight, (centred**2).sum(0) / 4, atol=1e-12)


def test_the_variance_of_a_sum_over_members_drawn_by_coins(rng):
    features = rng.normal(size=(12, 3))
    drawn = Design(features).sums((rng.random((40_000, 12)) < 0.5).astype(float))
    np.testing.assert_allclose(drawn.var(0), Design(features).weight, rtol=0.05)


@pytest.mark.parametrize("n", [1, 7, 40])
def test_conjugate_gradients_solve_what_a_direct_solver_does(rng, n):
    root = rng.normal(size=(n, n + 3))
    matrix, wanted = root @ root.T + np.eye(n), rng.normal(size=(2, n))
    found = conjugate_gradients(lambda x: np.asarray(x @ matrix), wanted)
    np.testing.assert_allclose(found, np.linalg.solve(matrix, wanted.T).T, rtol=0.02, atol=0.02)
