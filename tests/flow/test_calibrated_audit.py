"""A calibrated quantizer in an audit: on each model's own members, and on records that train no model."""

import numpy as np

from leaq.pipeline import flow as pipeline
from leaq.pipeline import planning
from leaq.pipeline.cell import AuditConfig
from leaq.quantizers import Calibration
from leaq.training import TrainingConfig
from leaq.types import Estimate

QUICK = TrainingConfig(hidden=(8,), epochs=2, checkpoints=3, chunk=2)


def test_a_calibrated_quantizer_is_measured_on_members_and_elsewhere(monkeypatch):
    seen = []

    class Watched(Calibration):
        def __post_init__(self):
            super().__post_init__()
            seen.append(self)

    monkeypatch.setattr(planning, "Calibration", Watched)
    attacks = ("threshold",)
    result = pipeline.audit(
        AuditConfig(
            source="wine", quantizers=("gptq(bits=3)", "sign"), replicates=4, draws=10, attacks=attacks, training=QUICK
        )
    )
    own = [given for given in seen if given.source == "members"]
    elsewhere = [given for given in seen if given.source != "members"]
    assert {given.first for given in own} == {0, 2}
    aside = len(elsewhere[0].inputs)
    assert 0.15 * 178 < aside <= 0.2 * 178
    for given in own:
        assert given.rows.shape == (2, aside)  # equally many records on either side
        for rows, members in zip(given.rows, given.members, strict=True):
            assert members[rows].all()
    for given in elsewhere:  # the same records for every model, none of them in the pool
        assert np.array_equal(np.sort(given.rows), np.arange(aside)[None])
        assert not (given.inputs[:, None] == own[0].inputs[None]).all(-1).any()
    rows = {row.quantizer: row for row in result.rows}
    assert list(rows) == ["none", "gptq(bits=3)", "gptq(bits=3, calibrated=elsewhere)", "sign"]
    codes = {spec: [flag.code for flag in row.flags] for spec, row in rows.items()}
    assert "calibrated-on-members" in codes["gptq(bits=3)"]
    assert "calibrated-elsewhere" in codes["gptq(bits=3, calibrated=elsewhere)"]
    assert not {"calibrated-on-members", "calibrated-elsewhere"} & set(codes["sign"])
    assert result.data["n"] == 178 - aside
    assert f"{aside} records were set aside" in next(flag.text for flag in result.flags if flag.code == "set-aside")
    price = rows["gptq(bits=3)"].measures["leak_vs_elsewhere"]
    leaks = [rows[spec].attacks["threshold"].advantage.value for spec in list(rows)[1:3]]
    assert isinstance(price, Estimate)
    assert price.value == leaks[0] - leaks[1]
    assert "leak_vs_elsewhere" not in rows["sign"].measures


def test_nothing_is_set_aside_where_nothing_is_calibrated():
    result = pipeline.audit(
        AuditConfig(source="wine", quantizers=("sign",), replicates=4, draws=10, attacks=("threshold",), training=QUICK)
    )
    assert result.data["n"] == 178
    assert "set-aside" not in [flag.code for flag in result.flags]
