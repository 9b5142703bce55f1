from dataclasses import replace

from leaq.reporting.records import riskiest_records
from leaq.results.redaction import shareable
from tests.unit.reporting.test_forecasts import audited


def expected(result):
    private = {**result.private, "forecast_risk": {one.quantizer: list(range(30)) for one in result.rows}}
    return replace(result, private=private)


def test_the_risk_by_record_stands_beside_the_attacks_or_alone():
    beside = riskiest_records(expected(audited()), limit=3)
    assert beside.keys == ("129", "127", "126")  # the attack tells no risk of 128
    assert beside.columns[-1].title == "Forecast"
    assert "a hint where to look" in beside.footnotes[-2].text
    bare = shareable(audited())
    alone = riskiest_records(expected(bare), limit=3)
    assert alone.title == "The 3 records expected to be most exposed in full precision"
    assert alone.keys == ("30", "29", "28")  # rows are counted from 1 where nothing else numbers them
    assert riskiest_records(bare) is None


def test_no_record_leaves_with_the_shareable_result():
    assert "forecast_risk" not in expected(audited()).to_json()
    assert "forecast_risk" in expected(audited()).private_json()
