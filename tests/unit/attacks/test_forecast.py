"""The forecast: near what the attack finds with 64 models, ordered by what is kept, and silent about nothing."""

from dataclasses import replace

import numpy as np
import pytest

from leaq.attacks.combined import Combined
from leaq.attacks.forecast import FORECAST, audit_forecasts, forecast, forecast_risk, forecasts
from leaq.attacks.scoring import Resampling
from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.types import LossTable, NotComputed


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


def released(table, noise, *, seed=0):
    """The same models after a quantizer that adds noise to every model's signals."""
    rng = np.random.default_rng(seed)
    return replace(table, scores=table.scores + noise * rng.normal(size=table.scores.shape))


@pytest.mark.parametrize("count", [4, 8])
@pytest.mark.parametrize("move", [0.0, 1.0])
def test_a_few_replicates_forecast_the_attack_of_64(move, count):
    table = audit(move)
    found = forecast(few(table, count))
    truth = Combined(sees="outputs")(table, resampling=Resampling(draws=20)).advantage.value
    assert found.advantage.value == pytest.approx(truth, abs=0.08)
    assert found.advantage.low <= found.advantage.value <= found.advantage.high
    assert found.advantage.n == count


def test_quantizers_are_ordered_by_what_they_keep_of_differences_between_models():
    table = few(audit(1.0), 4)
    levels = [0.0, 0.3, 0.6, 1.0, 1.5, 2.0, 3.0]
    tables = {str(noise): released(table, noise, seed=1) for noise in levels}
    together = forecasts(tables, full="0.0")
    values = [together[str(noise)].advantage.value for noise in levels]
    assert values == sorted(values, reverse=True)


def test_more_models_are_forecast_to_find_more_and_as_many_no_more():
    table = few(audit(1.0), 4)
    values = [forecast(table, models=models).advantage.value for models in (4, 8, 64)]
    assert values == sorted(values)
    eight = few(audit(1.0), 8)
    assert forecast(eight, models=8).advantage.value == pytest.approx(forecast(eight, models=8).own, abs=0.02)


def test_a_rate_on_too_few_false_positives_is_not_given():
    table = few(audit(1.0, n=60), 4)
    found = forecast(table, fprs=(0.01, 0.001)).tpr
    assert 0.01 < found[0.01].low <= found[0.01].value <= found[0.01].high
    assert "false positives" in found[0.001].reason


def codes(found):
    return [flag.code for flag in found.flags]


def test_signals_that_disagree_are_flagged():
    """A model-wide offset hides the leak from the raw signal, and not from the normalised one."""
    table = few(audit(2.0), 4)
    moved = replace(table, scores=table.scores + 30 * np.arange(4)[:, None])
    wider = forecast(moved).advantage.high - forecast(moved).advantage.low
    assert wider > 1.2 * (forecast(table).advantage.high - forecast(table).advantage.low)
    assert codes(forecast(moved)) == codes(forecast(moved).tpr[0.01]) == ["few-replicates", "unsure"]


def test_fewer_than_eight_replicates_are_always_flagged_and_wider():
    """What misses by much cannot be told from what does not with so few: all of them say so."""
    four, eight = (forecast(few(audit(1.0), count)) for count in (4, 8))
    assert codes(four)[0] == "few-replicates"
    assert codes(eight) == []
    assert four.advantage.high - four.advantage.low > 1.5 * (eight.advantage.high - eight.advantage.low)


def test_risk_follows_the_records_susceptibility():
    table = audit(1.5)
    hard = table.released.mean(0)
    for count in (4, 8):
        risk = forecast_risk(few(table, count))
        assert np.corrcoef(risk, hard)[0, 1] > 0.4
        np.testing.assert_array_equal(risk, forecast(few(table, count)).risk)


def test_records_nobody_trained_on_have_no_risk_and_move_nothing():
    table = few(audit(1.0), 4)
    more = LossTable(
        np.pad(table.losses, ((0, 0), (0, 0), (0, 5))), np.pad(table.members, ((0, 0), (0, 5))), "classification",
        "pool", 150, scores=np.pad(table.scores, ((0, 0), (0, 5))),
    )  # fmt: skip
    found = forecast(more)
    assert np.isnan(found.risk[-5:]).all()
    assert found.advantage == forecast(table).advantage


def test_what_keeps_nothing_is_forecast_to_leak_next_to_nothing():
    table = few(audit(1.0), 8)
    blank = replace(table, scores=np.random.default_rng(0).normal(size=table.scores.shape))
    found = forecasts({"none": table, "blank": blank, "noisy": released(table, 1.0)}, full="none")
    assert found["blank"].advantage.value < 0.05 < found["noisy"].advantage.value


def test_refusals():
    table = audit(1.0, models=4, n=100)
    with pytest.raises(NotEnoughEvidence, match="at least 4 replicates"):
        forecast(few(table, 2))
    with pytest.raises(NotEnoughEvidence, match="at least 4 replicates"):
        forecast_risk(few(table, 2))
    with pytest.raises(InvalidInput, match="must hold scores"):
        forecast(LossTable(table.losses, table.members, "classification", "pool", 50))
    small = audit(1.0, models=4, n=20)
    with pytest.raises(NotEnoughEvidence, match="at least 50 records"):
        forecast(small)


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
