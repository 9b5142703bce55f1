"""Whose records calibrate a quantizer: a part of every scheme's name."""

import numpy as np
import pytest

from leaq.errors import InvalidInput
from leaq.quantizers import Calibration, build
from leaq.training import MLP
from leaq.types import Checkpoints


def test_where_the_calibration_records_come_from_is_part_of_the_name():
    elsewhere = build("gptq(bits=2, calibrated=elsewhere)")
    assert elsewhere.spec() == "gptq(bits=2, calibrated=elsewhere)"
    assert elsewhere.label() == "2-bit per channel GPTQ, calibrated elsewhere"
    assert elsewhere.describe().endswith("The calibration records train no model.")
    (flag,) = elsewhere.flags()
    assert flag.code == "calibrated-elsewhere"
    assert flag.text.startswith("Calibrated on records set aside that train no model, not on each model's own")
    assert build("sign(bias=corrected, calibrated=elsewhere)").needs.calibration


def test_a_quantizer_that_looks_at_no_records_has_none_elsewhere():
    with pytest.raises(InvalidInput) as refused:
        build("sign(calibrated=elsewhere)")
    assert "calibrated says whose records a quantizer looks at, and this one looks at none." in str(refused.value)


def test_calibrated_elsewhere_refuses_the_members():
    mlp = MLP(d=4, k=2, hidden=(3,), task="classification")
    models = Checkpoints(mlp.init(seed=0, models=[0]), mlp.roles, batch=(1,))
    records, scheme = np.zeros((5, 4)), build("gptq(bits=2, calibrated=elsewhere)")
    with pytest.raises(InvalidInput) as refused:
        scheme.frozen_to(models, Calibration(mlp, records))
    assert str(refused.value) == (
        "gptq(bits=2, calibrated=elsewhere): the calibration records must be others than the members. Found those of "
        "the members. Name whose they are: leaq.quantizers.Calibration(model, inputs, source='public records')."
    )
    assert (
        scheme.frozen_to(models, Calibration(mlp, records, source="public records")).calibrated_on == "public records"
    )
