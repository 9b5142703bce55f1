"""Calibration on members, the walk through the network, bias correction."""

import numpy as np
import pytest
import torch

from leaq.errors import InvalidInput, UnsupportedModel
from leaq.quantizers import Calibration, build
from tests.unit.quantizers.calibrating import MODEL, calibration, models, outputs


def test_each_model_is_calibrated_on_its_own_members():
    given = calibration()
    assert set(given.rows[0]) == set(range(30))
    assert set(given.rows[1]) == set(range(30, 60))
    alone = calibration(1)
    assert torch.equal(build("gptq(bits=2)")(models(), given).params["layers.1.weight"][:1],
                       build("gptq(bits=2)")(models(1), alone).params["layers.1.weight"])  # fmt: skip


def test_other_records_give_other_codes():
    swapped = Calibration(MODEL, calibration().inputs, ~calibration().members)
    a, b = (build("gptq(bits=2)")(models(), given).params["layers.1.weight"] for given in (calibration(), swapped))
    assert not torch.equal(a, b)


def test_records_are_picked_by_the_index_of_the_model():
    few = calibration(most=7)
    assert few.rows.shape == (2, 7)
    later = Calibration(MODEL, few.inputs, few.members[1:], most=7, first=1)
    assert np.array_equal(few.rows[1], later.rows[0])


def test_unequal_members_are_padded_with_share_zero():
    given = calibration()
    given.members[0, 5:] = False
    assert given.shares.sum(1).tolist() == [5, 30]


def test_padding_does_not_count():
    given = calibration()
    given.members[0, 5:] = False
    alone = Calibration(MODEL, given.inputs, given.members[:1])
    together = build("gptq(bits=2)")(models(), given).params["layers.1.weight"][0]
    torch.testing.assert_close(together, build("gptq(bits=2)")(models(1), alone).params["layers.1.weight"][0])


@pytest.mark.parametrize("spec", ["gptq(bits=4)", "adaround(bits=4)", "sign(bias=corrected)", "equalised(bits=4)"])
def test_missing_calibration_is_explained(spec):
    with pytest.raises(InvalidInput, match=r"needs (calibration records|the architecture)\. Pass calibration="):
        build(spec)(models())


def test_model_that_cannot_tell_its_layers_inputs():
    with pytest.raises(UnsupportedModel, match="must tell each layer's input .* Found NoneType"):
        build("gptq(bits=4)")(models(), Calibration(None, np.zeros((4, 8)), np.ones((2, 4), bool)))


def test_calibration_for_other_models_is_refused():
    with pytest.raises(InvalidInput, match="must name the records of 2 models. Found 3"):
        build("gptq(bits=4)")(models(), calibration(3))


def test_members_must_match_records():
    with pytest.raises(InvalidInput, match=r"members must have shape \(models, 4\)"):
        Calibration(MODEL, np.zeros((4, 8)), np.ones((2, 5), bool))
    with pytest.raises(InvalidInput, match="every model needs at least one record"):
        Calibration(MODEL, np.zeros((4, 8)), np.zeros((2, 4), bool))


def test_a_frozen_quantizer_remembers_whose_records_it_saw():
    elsewhere = calibration(source="public records")
    for scheme, given, codes in (
        (build("gptq(bits=4)"), calibration(), ["calibrated-on-members"]),
        (build("gptq(bits=4)"), elsewhere, ["calibrated-elsewhere"]),
        (build("equalised(bits=4)"), elsewhere, []),
        (build("sign"), elsewhere, []),
    ):
        assert [flag.code for flag in scheme.fitted_to(models(), given).flags()] == codes
    assert "Calibrated on public records" in build("gptq(bits=4)").fitted_to(models(), elsewhere).flags()[0].text


def test_without_members_every_record_calibrates_every_model():
    given = Calibration(MODEL, calibration().inputs)
    everyone = Calibration(MODEL, given.inputs, np.ones((1, 60), bool))
    a, b = (build("gptq(bits=2)")(models(), one).params["layers.1.weight"] for one in (given, everyone))
    assert torch.equal(a, b)


def test_layer_inputs_are_what_the_layers_get():
    given, x = models(), torch.from_numpy(calibration().inputs)
    seen = MODEL.layer_inputs(given.params, x.expand(2, -1, -1), torch.ones(2, len(x)))
    last = seen["layers.2.weight"][0] @ given.params["layers.2.weight"].transpose(1, 2)
    torch.testing.assert_close(last + given.params["layers.2.bias"].unsqueeze(1), outputs(given, x))


def mean_gap(spec: str) -> torch.Tensor:
    """How far the mean outputs on each model's own members move under quantization, (models,)."""
    given, records = models(), calibration()
    quantized = build(spec)(given, records)
    gaps = []
    for model in range(2):
        x = torch.from_numpy(records.inputs[records.members[model]])
        before, after = (outputs(c, x)[model].mean(0) for c in (given, quantized))
        gaps.append((before - after).abs().max())
    return torch.stack(gaps)


@pytest.mark.parametrize("spec", ["uniform(bits=2, bias=corrected)", "sign(bias=corrected)", "bias_correction(bits=2)"])
def test_bias_correction_keeps_mean_outputs(spec):
    assert (mean_gap(spec) < 1e-9).all()


def test_without_bias_correction_mean_outputs_move():
    assert (mean_gap("uniform(bits=2)") > 1e-3).all()
