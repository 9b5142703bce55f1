import math

import pytest

from leaq.cell import AuditConfig
from leaq.pipeline import audit
from leaq.results import CellResult
from leaq.training import TrainingConfig
from leaq.types import AttackResult, NotComputed
from leaq.yardstick import EPSILONS, with_yardstick
from tests.helpers import require


@pytest.fixture(scope="module")
def result():
    require("opacus")
    training = TrainingConfig(hidden=(4,), epochs=2, checkpoints=3)
    config = AuditConfig(source="wine", quantizers=("sign",), replicates=4, training=training, draws=40)
    return with_yardstick(audit(config), epsilons=(math.inf,))


def test_private_rows_stand_beside_quantizers(result):
    assert [row.label for row in result.rows] == ["full precision", "sign", "DP-SGD ε=∞"]
    assert list(EPSILONS) == [1, 3, 8, math.inf]
    for row in result.rows[2:]:
        assert isinstance(row.attacks["threshold"], AttackResult)
        assert row.drops["roc_auc"].n == row.metrics["roc_auc"].n
        assert isinstance(row.measures["r"], NotComputed)
        assert "distortion" not in row.measures
        assert any(flag.code == "dp-sgd" for flag in row.flags)


def test_the_points_appear_in_the_same_picture_and_table(result):
    from leaq.reporting.reading import audited
    from leaq.reporting.tables import ranking
    from leaq.tidy import frame

    assert "DP-SGD ε=∞" in [row[0] for row in ranking(result).rows]
    assert "dp_sgd(epsilon=inf)" in set(frame(result)["quantizer"])
    assert "1 quantizer, beside 1 trained with differential privacy" in audited(result)
    assert CellResult.from_json(result.to_json()).to_json() == result.to_json()
