"""What is compared with the shipped forecast and order is the same thing but for what is said to differ."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.fidelity import ingredients, orders, tried

from leaq.attacks.forecast import forecasts
from tests.attack_tables import planted


@pytest.fixture
def tables():
    """Eight models under three quantizers, each with more noise than the one before."""
    return [
        outputs_of(planted(np.random.default_rng(0), models=8, n=120, leak=leak, classes=2)) for leak in (2.0, 1.2, 0.5)
    ]


def outputs_of(table):
    return replace(table, outputs=np.stack([np.zeros_like(table.scores), table.scores], axis=2))


def test_as_it_is_is_the_forecast(tables):
    shipped = forecasts({str(at): table for at, table in enumerate(tables)}, full="0")
    found = ingredients.forecasts(tables)
    np.testing.assert_allclose(found[tried.NOW], [one.advantage.value for one in shipped.values()])
    assert set(found) == set(tried.FORECASTS)


def test_who_borrows_from_the_same_release_gains_next_to_nothing(tables):
    without, with_ = ingredients.borrowed(tables[0], tables[0])
    assert without > 0.2
    assert with_ == pytest.approx(without, abs=0.05)


def test_residuals_are_those_of_regressions_without_the_record():
    rng = np.random.default_rng(0)
    x, inside = rng.normal(size=(40, 5)), np.arange(40) < 20
    targets = x[:, :1] + 0.3 * rng.normal(size=(40, 1))
    kernel = x @ x.T + 1
    residual, leverage = orders._left_out(kernel, targets, inside)
    assert ((leverage > 0) & (leverage < 1)).all()
    values = np.linalg.eigvalsh(kernel[:20, :20]).mean()

    def left_out(record, strength):
        rest = np.setdiff1d(np.arange(20), record)
        inverse = np.linalg.inv(kernel[np.ix_(rest, rest)] + strength * np.eye(19))
        return abs(float((kernel[record, rest] @ inverse @ targets[rest] - targets[record])[0]))

    each = [[left_out(record, strength) for record in range(20)] for strength in orders.STRENGTHS * values]
    assert any(np.allclose(one, residual) for one in each)
