from leaq.reporting.narrative import reading
from leaq.reporting.tables import ranking
from leaq.types import Estimate


def test_what_is_not_computed_names_its_ingredient(result):
    assert {"lira", "lira(shadows=full_precision)"} <= set(result.not_computed)
    assert "shadow models" in result.not_computed["lira"]
    assert "a few replicates" in result.not_computed["forecast"]
    estimate = result.rows[0].measures["forecast_one"]
    assert 0 <= estimate.low < estimate.value < estimate.high <= 1
    assert result.rows[1].measures["forecast_one"].value < estimate.value
    assert "estimated to find" in reading(result)
    assert "Estimate" in [column.title for column in ranking(result).columns]
    assert isinstance(result.rows[1].measures["r"], Estimate)
    assert "no codes to move" in result.rows[0].measures["r"].reason


def test_costs_are_paired_with_full_precision(result):
    row = result.rows[2]
    assert abs(row.drops["roc_auc"].value) < 0.02
    assert abs(row.drops["loss"].value) < 0.1
    assert row.measures["distortion"].value < 0.01
