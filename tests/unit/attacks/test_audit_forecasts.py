"""The forecast in an audit: there with few models, beside the attack where that was run, or named."""

from dataclasses import replace

import numpy as np
import pytest

from leaq.attacks.audit_forecasts import FORECAST, audit_forecasts
from leaq.attacks.combined import Combined
from leaq.attacks.forecast import forecast
from leaq.attacks.scoring import Resampling
from leaq.types import NotComputed
from tests.unit.attacks.test_forecast import audit, few

QUICK = Resampling(draws=20)


def test_with_too_few_models_for_the_attack_the_forecast_stands_alone():
    table = few(audit(1.0), 4)
    found = audit_forecasts({"none": table}, {"none": {FORECAST: NotComputed("needs 8")}})["none"]
    assert set(found) == {"forecast", "forecast_tpr"}
    assert found["forecast"].value > 0.1
    assert found["forecast"].unit == "replicates"
    assert found["forecast_tpr"].low > 0.01


def test_beside_the_attack_it_is_told_how_much_more_is_expected():
    table = few(audit(1.0), 8)
    attack = Combined(sees="outputs")(table, resampling=QUICK)
    gap = audit_forecasts({"none": table}, {"none": {FORECAST: attack}})["none"]["forecast_gap"]
    ahead = forecast(table).advantage
    assert gap.value == pytest.approx(ahead.value - attack.advantage.value)
    assert gap.low == pytest.approx(ahead.low - attack.advantage.high)
    assert gap.high == pytest.approx(ahead.high - attack.advantage.low)


def test_it_says_what_is_missing_under_every_quantizer():
    table = few(audit(1.0), 2)
    found = audit_forecasts({"none": table, "sign": table}, {})
    for one in found.values():
        assert set(one) == {"forecast", "forecast_tpr"}
        assert "at least 4 replicates" in one["forecast"].reason


def test_quantizers_help_each_other_where_full_precision_is_among_them():
    table = few(audit(1.0), 4)
    rng = np.random.default_rng(0)
    tables = {"none": table} | {
        f"q{i}": replace(table, scores=table.scores + i * rng.normal(size=table.scores.shape)) for i in (1, 2, 3)
    }
    alone, together = audit_forecasts(tables, {}), audit_forecasts(tables, {}, full="none")
    assert alone["q2"]["forecast"].value == forecast(tables["q2"]).advantage.value
    assert together["q2"]["forecast"].value != alone["q2"]["forecast"].value
