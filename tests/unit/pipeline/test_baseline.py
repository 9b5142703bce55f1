import pytest

from leaq.pipeline import audit
from leaq.pipeline.cell import AuditConfig
from leaq.results import CellResult
from leaq.training import TrainingConfig
from leaq.types import AttackResult, NotComputed
from tests.helpers import require


@pytest.fixture(scope="module")
def result():
    require("opacus")
    training = TrainingConfig(hidden=(4,), epochs=2, checkpoints=3)
    options = {"quantizers": ("sign",), "replicates": 4, "draws": 40, "dp_sgd": ("inf",)}
    return audit(AuditConfig(source="wine", training=training, **options))


def test_private_rows_stand_beside_quantizers(result):
    assert [row.label for row in result.rows] == ["full precision", "sign", "DP-SGD ε=∞"]
    for row in result.rows[2:]:
        assert isinstance(row.attacks["threshold"], AttackResult)
        assert row.drops["roc_auc"].n == row.metrics["roc_auc"].n
        assert isinstance(row.measures["r"], NotComputed)
        assert "distortion" not in row.measures
        assert any(flag.code == "dp-sgd" for flag in row.flags)


def test_nothing_is_read_embedded_or_trained_twice_for_it(monkeypatch):
    require("opacus")
    from leaq.pipeline import preparing
    from leaq.pipeline.subjects.heads import Heads

    calls = []
    for place, name in ((preparing, "load"), (preparing, "embed"), (Heads, "train")):
        real = getattr(place, name)

        def counted(*args, real=real, name=name, **options):
            calls.append(name)
            return real(*args, **options)

        monkeypatch.setattr(place, name, counted)
    training = TrainingConfig(hidden=(4,), epochs=1, checkpoints=2)
    audit(AuditConfig(source="wine", training=training, quantizers=("sign",), replicates=2, draws=20, dp_sgd=("inf",)))
    assert calls == ["load", "embed", "train"]


def test_the_points_appear_in_the_same_picture_and_table(result):
    from leaq.reporting.narrative import audited
    from leaq.reporting.tables import ranking
    from leaq.results.tidy import frame

    assert "DP-SGD ε=∞" in [row[0] for row in ranking(result).rows]
    assert "dp_sgd(epsilon=inf)" in set(frame(result)["quantizer"])
    assert "1 quantizer, beside 1 trained with differential privacy" in audited(result)
    assert CellResult.from_json(result.to_json()).to_json() == result.to_json()
