import pytest

from leaq.errors import UnknownName
from leaq.results.metrics import metric, metric_key


def test_metrics_are_known_by_key_and_by_name():
    assert metric_key("R²") == metric_key("r2") == "r2"
    assert metric("rmse").larger_is_better is False
    assert metric("own_score").name == "own score"
    with pytest.raises(UnknownName, match="Unknown metric 'own_score'"):
        metric_key("own_score")
