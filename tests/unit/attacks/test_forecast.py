"""The forecast: right where its laws hold, silent about nothing, and it says when it misses the loss threshold."""

import numpy as np
import pytest

from leaq.attacks.forecast import forecast
from leaq.attacks.lira import Lira
from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.types import LossTable


def audit(move, *, models=64, n=300, seed=0):
    """Margins that rise by `move` (times a record's own susceptibility) when a record is trained on."""
    rng = np.random.default_rng(seed)
    members = np.repeat(rng.permuted(np.tile(np.arange(n), (models // 2, 1)), axis=1) < n // 2, 2, axis=0)
    members[1::2] = ~members[1::2]
    level = rng.normal(1, 2, n)
    gain = move * np.logaddexp(0, 1 - level)
    scores = level + members * gain + rng.normal(0, 1, members.shape)
    losses = np.logaddexp(0, -scores)[:, None]
    return LossTable(losses, members, "classification", "pool", n // 2, scores=scores)


def few(table, count):
    return LossTable(
        table.losses[:count], table.members[:count], "classification", "pool", 150, scores=table.scores[:count]
    )


@pytest.mark.parametrize("move", [0.0, 1.0])
def test_four_replicates_forecast_the_attack_of_64(move):
    table = audit(move)
    found = forecast(few(table, 8), draws=4)
    truth = Lira()(table).advantage.value
    assert found.advantage.value == pytest.approx(truth, abs=0.07)
    assert found.advantage.low <= found.advantage.value <= found.advantage.high


def test_risk_follows_the_records_susceptibility():
    table = audit(1.5)
    risk = forecast(few(table, 4), draws=1).risk
    hard = table.released[:, :].mean(0)
    assert np.corrcoef(risk, hard)[0, 1] > 0.4


def test_refusals():
    table = audit(1.0, models=4, n=100)
    with pytest.raises(NotEnoughEvidence, match="at least 4 replicates"):
        forecast(few(table, 2))
    with pytest.raises(InvalidInput, match="must hold scores"):
        forecast(LossTable(table.losses, table.members, "classification", "pool", 50))
    small = audit(1.0, models=4, n=20)
    with pytest.raises(NotEnoughEvidence, match="at least 50 records"):
        forecast(small)
