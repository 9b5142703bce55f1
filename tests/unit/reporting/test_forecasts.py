"""The forecast as people read it: expected leak, what was found beside it, and when it cannot be trusted."""

from dataclasses import replace

from leaq.attacks.foreseen import FORECAST
from leaq.reporting.forecast_words import about_forecast
from leaq.reporting.forecasts import forecast_table
from leaq.reporting.reading import reading
from leaq.reporting.records import exposed
from leaq.reporting.tables import ranking
from leaq.results.redaction import shareable
from leaq.results.tidy import frame
from leaq.types import Flag, NotComputed
from tests.results import cell, estimate, row

DOUBT = Flag("unsure", "Do not trust this forecast: it misses.")


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


def test_the_reading_names_what_is_expected_and_how_much_more_that_is():
    text = about_forecast(audited(gap=0.08))
    assert "0.400 [0.380, 0.420] in full precision and least under sign: 0.100 [0.080, 0.120]" in text
    assert "On average over 3 rows that is +0.080 against what it found with the models trained here." in text
    assert about_forecast(audited(gap=0.08)) in reading(audited(gap=0.08))
    few = [replace(one, attacks={FORECAST: NotComputed("Needs 8 models.")}) for one in audited().rows]
    assert "with it here (Needs 8 models);" in about_forecast(replace(audited(), rows=tuple(few)))
    none = [replace(one, attacks={}) for one in audited().rows]
    assert "Nothing was attacked with it here; docs/fidelity.md" in about_forecast(replace(audited(), rows=tuple(none)))


def test_it_says_when_it_cannot_be_trusted():
    assert "Do not trust the forecast under full precision" in about_forecast(audited(flags=(DOUBT,)))
    every = cell(*(replace(one, measures={"forecast": estimate(0.2, flags=(DOUBT,))}) for one in audited().rows))
    assert "Do not trust any of these forecasts" in about_forecast(every)
    assert any("it misses" in note.text for note in ranking(every).footnotes)


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


def expected(result):
    private = {**result.private, "forecast_risk": {one.quantizer: list(range(30)) for one in result.rows}}
    return replace(result, private=private)


def test_the_risk_by_record_stands_beside_the_attacks_or_alone():
    beside = exposed(expected(audited()), limit=3)
    assert beside.keys == ("129", "127", "126")  # the attack tells no risk of 128
    assert beside.columns[-1].title == "Forecast"
    assert "a hint where to look" in beside.footnotes[-2].text
    bare = shareable(audited())
    alone = exposed(expected(bare), limit=3)
    assert alone.title == "The 3 records expected to be most exposed in full precision"
    assert alone.keys == ("30", "29", "28")  # rows are counted from 1 where nothing else numbers them
    assert exposed(bare) is None


def test_no_record_leaves_with_the_shareable_result():
    assert "forecast_risk" not in expected(audited()).to_json()
    assert "forecast_risk" in expected(audited()).private_json()
