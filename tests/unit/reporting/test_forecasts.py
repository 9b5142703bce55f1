"""The forecast as people read it: expected leak, what was found beside it, and when it cannot be trusted."""

from dataclasses import replace

from leaq.attacks.forecast import FORECAST
from leaq.reporting.asides import about_forecast
from leaq.reporting.forecasts import forecast_table
from leaq.reporting.tables import ranking
from leaq.results.tidy import frame
from leaq.types import NotComputed
from tests.results import cell, estimate, row


def ahead(spec, label, leak, value, *, gap=None, flags=()):
    made = row(spec, label, leak)
    measures = {"forecast": estimate(value, flags=flags), "forecast_tpr": estimate(0.06, 0.01)}
    measures |= {} if gap is None else {"forecast_gap": estimate(gap)}
    return replace(made, measures={**made.measures, **measures})


def audited(*, gap=None, flags=()):
    return cell(
        ahead("none", "full precision", 0.30, 0.40, gap=gap, flags=flags),
        ahead("uniform(bits=3)", "3-bit", 0.20, 0.25, gap=gap),
        ahead("sign", "sign", 0.05, 0.10, gap=gap),
    )


def test_the_table_is_ordered_by_the_forecast():
    table = forecast_table(audited())
    assert table.keys == ("sign", "uniform(bits=3)", "none")
    assert [column.title for column in table.columns][-3:] == ["Forecast", "TPR at 1% FPR", "Flags"]
    assert table.rows[0][4] == "+0.100 [0.080, 0.120]"
    assert "no measurement" in table.order


def test_beside_the_attack_both_stand_and_their_difference():
    result = audited(gap=0.03)
    ran = [replace(one, attacks={FORECAST: one.attacks["lira"]}) for one in result.rows]
    table = forecast_table(replace(result, rows=tuple(ran)))
    heads = [column.title for column in table.columns]
    cells = dict(zip(heads, table.rows[0], strict=True))
    assert cells["Combined, outputs"] == "+0.050 [0.030, 0.070]"
    assert cells["Forecast - found"] == "+0.030 [0.010, 0.050]"


def test_without_any_nothing_is_said_and_no_column_shown():
    assert about_forecast(cell()) == ""
    assert "Forecast" not in [column.title for column in ranking(cell()).columns]
    lacking = cell(*(replace(one, measures={"forecast": NotComputed("needs 4")}) for one in cell().rows))
    assert lacking.not_computed["forecast"] == "needs 4"
    assert about_forecast(lacking) == ""


def test_the_ranking_has_a_column_and_the_frame_a_row():
    result = audited(gap=0.0)
    assert "Forecast" in [column.title for column in ranking(result).columns]
    found = frame(result)
    assert set(found[found.name.str.startswith("forecast")].name) == {"forecast", "forecast_tpr", "forecast_gap"}
