"""The forecast in an audit: there with few models, checked where LiRA was run, named where it cannot be made."""

import numpy as np
import pytest

from leaq.attacks.forecast import forecast, forecast_risk
from leaq.attacks.foreseen import foreseen
from leaq.attacks.lira import Lira
from leaq.attacks.scoring import Protocol
from leaq.types import Estimate, NotComputed
from tests.unit.attacks.test_forecast import audit, few

QUICK = Protocol(draws=20)


def test_with_too_few_models_for_the_attack_the_forecast_stands_alone():
    table = few(audit(1.0), 4)
    found = foreseen(table, {"lira": NotComputed("needs shadows")})
    assert set(found) == {"forecast", "forecast_tpr"}
    assert found["forecast"].value > 0.1
    assert found["forecast"].unit == "replicates"
    assert found["forecast_tpr"].low > 0.01


def test_beside_the_attack_it_is_told_how_far_apart_they_are():
    table = few(audit(1.0), 8)
    attack = Lira()(table, protocol=QUICK)
    gap = foreseen(table, {"lira": attack})["forecast_gap"]
    same = forecast(table, shadows=8, fprs=()).advantage
    assert gap.value == pytest.approx(same.value - attack.advantage.value)
    assert gap.low == pytest.approx(same.low - attack.advantage.high)
    assert gap.high == pytest.approx(same.high - attack.advantage.low)
    assert gap.low < 0 < gap.high
    assert abs(gap.value) < 0.1


def test_it_says_what_is_missing():
    found = foreseen(few(audit(1.0), 2), {})
    assert set(found) == {"forecast", "forecast_tpr"}
    assert "at least 4 replicates" in found["forecast"].reason


def test_a_rate_on_too_few_false_positives_is_not_given():
    found = foreseen(few(audit(1.0, models=4, n=50), 4), {})
    assert isinstance(found["forecast"], Estimate)
    assert isinstance(foreseen(few(audit(1.0, n=60), 4), {})["forecast_tpr"], Estimate)
    rate = forecast(few(audit(1.0, n=60), 4), fprs=(0.001,), draws=1).tpr[0.001]
    assert "false positives" in rate.reason


def test_doubts_reach_every_number():
    """Records that leak by their difference from each other, not as the laws say: the check notices."""
    rng = np.random.default_rng(0)
    table = few(audit(0.0), 8)
    odd = table.scores + 8 * table.members * (rng.random(table.members.shape[1]) < 0.5)
    from dataclasses import replace

    found = foreseen(replace(table, scores=odd), {})
    assert [flag.code for flag in found["forecast"].flags] == [flag.code for flag in found["forecast_tpr"].flags]


def test_the_risk_alone_is_that_of_the_forecast():
    table = few(audit(1.0), 4)
    np.testing.assert_array_equal(forecast_risk(table), forecast(table, draws=1).risk)
    with pytest.raises(Exception, match="at least 4 replicates"):
        forecast_risk(few(table, 2))


def test_many_records_cost_no_more_than_four_thousand():
    table = audit(1.0, models=4, n=9000)
    found = forecast(few(table, 4), draws=1)
    assert found.advantage.value == pytest.approx(
        forecast(few(audit(1.0, models=4, n=900), 4), draws=1).advantage.value, abs=0.08
    )
    assert np.isfinite(found.risk).all()
