import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from leaq.stats.logistic import ridge_logistic


@pytest.mark.parametrize(
    ("n", "p", "effect"), [(6800, 12, 0.3), (2000, 50, 1.0), (600, 12, 5.0), (200, 12, 50.0), (60, 3, 0.0)]
)
def test_the_same_weights_as_scikit_learn(n, p, effect):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3)) @ rng.normal(size=(3, p)) + 0.3 * rng.normal(size=(n, p))  # columns that go together
    x = (x - x.mean(0)) / x.std(0)
    y = effect * x[:, 0] + rng.logistic(size=n) > 0.2
    slow = LogisticRegression(C=0.1, solver="newton-cholesky").fit(x, y)
    weights, constant = ridge_logistic(x, y, strength=0.1)
    np.testing.assert_allclose(weights, slow.coef_[0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(constant, slow.intercept_[0], rtol=1e-9, atol=1e-12)


def test_records_of_one_kind_and_far_columns_end_too():
    """Where the full step overshoots it is halved; a kind that never occurs drives the constant, not the weights."""
    x = np.random.default_rng(0).normal(size=(80, 2))
    weights, constant = ridge_logistic(x, np.zeros(80, bool), strength=0.1)
    assert constant < -5
    assert np.abs(weights).max() < 0.1
    weights, _ = ridge_logistic(1e4 * x, x[:, 0] > 0, strength=1e6)
    assert np.isfinite(weights).all()
    assert weights[0] > 10 * abs(weights[1])
