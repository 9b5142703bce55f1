"""lambda_k alone: the curves of an audit with the same configuration, and no attack."""

import pytest

from leaq.attacks.base import MembershipAttack
from leaq.cell import AuditConfig
from leaq.pipeline import audit
from leaq.pipeline.curves import rate_curves
from leaq.training import TrainingConfig


def config(**training):
    small = TrainingConfig(**{"hidden": (8,), "epochs": 2, "checkpoints": 4, **training})
    return AuditConfig(source="wine", quantizers=("sign",), replicates=4, draws=20, training=small)


def test_the_curves_are_those_of_an_audit_and_nothing_is_attacked(monkeypatch):
    wanted = {row.quantizer: row.curves["lambda_k"] for row in audit(config()).rows}
    for kind in (MembershipAttack, *MembershipAttack.__subclasses__()):
        monkeypatch.setattr(kind, "run", lambda *_, **__: pytest.fail("an attack was run"))
    assert {quantizer.spec(): curve for quantizer, curve in rate_curves(config()).items()} == wanted


def test_one_candidate_has_no_curve():
    assert rate_curves(config(checkpoints=1)) == {}
