"""A calibrated quantizer in an audit: every model is calibrated on its own members, and the row says so."""

import numpy as np

from leaq import pipeline
from leaq.cell import AuditConfig
from leaq.quantizers import Calibration
from leaq.training import TrainingConfig


def test_every_shadow_is_calibrated_on_its_own_members(monkeypatch):
    seen = []

    class Watched(Calibration):
        def __post_init__(self):
            super().__post_init__()
            seen.append(self)

    monkeypatch.setattr(pipeline, "Calibration", Watched)
    quick = TrainingConfig(hidden=(8,), epochs=2, checkpoints=3, chunk=2)
    result = pipeline.audit(
        AuditConfig(source="wine", quantizers=("gptq(bits=3)", "sign"), replicates=4, draws=10, training=quick)
    )
    assert [given.first for given in seen] == [0, 2]
    for given in seen:
        for rows, members in zip(given.rows, given.members, strict=True):
            assert members[rows].all()
            assert set(rows) == set(np.flatnonzero(members))
    codes = {row.quantizer: [flag.code for flag in row.flags] for row in result.rows}
    assert "calibrated-on-members" in codes["gptq(bits=3)"]
    assert "calibrated-on-members" not in codes["sign"]
