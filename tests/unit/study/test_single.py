import pytest

from leaq.errors import InvalidInput
from leaq.pipeline import AuditConfig, audit
from leaq.study import audit_into
from leaq.training import TrainingConfig

QUICK = TrainingConfig(hidden=(8,), epochs=2, checkpoints=2)
CONFIG = AuditConfig(
    source="wine", quantizers=("sign",), replicates=4, attacks=("threshold",), draws=20, training=QUICK
)


def test_a_kept_audit_is_the_audit_and_is_read_the_second_time(tmp_path):
    started = []
    first = audit_into(CONFIG, tmp_path / "run", started=lambda: started.append(1))
    again = audit_into(CONFIG, tmp_path / "run", started=lambda: started.append(2))
    assert started == [1]
    assert first.to_json(timings=False) == again.to_json(timings=False)
    assert [row.metrics for row in first.rows] == [row.metrics for row in audit(CONFIG).rows]


def test_another_question_wants_another_folder(tmp_path):
    audit_into(CONFIG, tmp_path / "run")
    with pytest.raises(InvalidInput, match=r"holds another configuration: seed differ \(seed: 0 there, 1 asked for\)"):
        audit_into(CONFIG.model_copy(update={"seed": 1}), tmp_path / "run")
