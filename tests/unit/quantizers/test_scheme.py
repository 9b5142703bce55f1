"""Which layers are quantized and how, biases, activations, whose records calibrate: what every scheme has."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from leaq.errors import InvalidInput
from leaq.quantizers import Calibration, Uniform, build
from leaq.training import MLP
from leaq.types import Activations, Checkpoints
from tests.unit.quantizers.cases import FAST, MODEL, drawn_over_many_powers, model, same_bits


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
        scheme.fitted_to(models, Calibration(mlp, records))
    assert str(refused.value) == (
        "gptq(bits=2, calibrated=elsewhere): the calibration records must be others than the members. Found those of "
        "the members. Name whose they are: leaq.quantizers.Calibration(model, inputs, source='public records')."
    )
    assert (
        scheme.fitted_to(models, Calibration(mlp, records, source="public records")).calibrated_on == "public records"
    )


@pytest.mark.parametrize("spec", FAST)
@settings(max_examples=8)
@given(
    seed=st.integers(0, 2**16),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    size=st.sampled_from([1.0, 1e3, 1e-4, 1e-38, 1e-41, 3e-44]),
)
def test_rounding_without_codes_gives_what_the_codes_stand_for_to_the_last_bit(spec, seed, dtype, size):
    """Both short cuts: with frozen scales, and with the weights' own, where clipping may be left out."""
    scheme, weight = build(spec), drawn_over_many_powers(seed, dtype, size)
    scales = scheme.fit(weight)
    before = weight.clone()
    for beyond in (weight, -1.5 * weight if spec != "float16" else weight / 3):
        slow = scheme.decode(scheme.encode(beyond, scales), scales).to(dtype)
        assert same_bits(scheme.fake_quantize(beyond, scales), slow)
        assert same_bits(scheme.fake_quantize(beyond, scales, torch.full_like(beyond, torch.nan)), slow)
    own = torch.full_like(weight, torch.nan)
    found = scheme.fit_fake_quantize(weight, own)
    assert all(torch.equal(found[key], scales[key]) for key in scales)
    assert same_bits(own, scheme.decode(scheme.encode(weight, scales), scales).to(dtype))
    assert same_bits(weight, before)


def distinct(checkpoints: Checkpoints, layer: int) -> int:
    return checkpoints.params[f"layers.{layer}.weight"][0].unique().numel()


def test_default_quantizes_every_layer_and_nothing_else():
    before, after = model(), build("sign")(model())
    assert [distinct(after, layer) for layer in range(3)] == [2, 2, 2]
    for name, role in MODEL.roles.items():
        assert torch.equal(after.params[name], before.params[name]) == (role != "linear")


def test_decoupled_last_layer_has_eight_bits():
    after = build("sign(last=int8)")(model())
    assert [distinct(after, layer) for layer in range(3)] == [2, 2, 4]
    eight = Uniform(bits=8)(model())
    assert torch.equal(after.params["layers.2.weight"], eight.params["layers.2.weight"])


def test_first_layer_in_full_precision():
    after = build("sign(first=full)")(model())
    assert torch.equal(after.params["layers.0.weight"], model().params["layers.0.weight"])
    assert distinct(after, 1) == 2


def test_nothing_left_is_refused():
    one = Checkpoints({"w": torch.ones(1, 2, 2)}, {"w": "linear"}, (1,))
    with pytest.raises(InvalidInput, match="1 weights in all, none left after first=full, last=same"):
        build("sign(first=full)")(one)


def test_no_weights_is_refused():
    only = Checkpoints({"scale": torch.ones(1, 2)}, {"scale": "norm"}, (1,))
    with pytest.raises(InvalidInput, match="must have a conv1d, conv2d, embedding, linear weight to quantize. Found 0"):
        build("uniform(bits=4)")(only)
    bare = Checkpoints({"first": torch.ones(1, 2, 2), "b": torch.ones(1, 2)}, {"first": "other", "b": "other"}, (1,))
    with pytest.raises(InvalidInput, match=r"Found 0 .* first, of no layer that is known.* into an nn.Linear"):
        build("sign")(bare)


def test_biases_in_half_precision():
    before, after = model(), build("uniform(bits=4, bias=float16)")(model())
    bias = before.params["layers.0.bias"]
    assert torch.equal(after.params["layers.0.bias"], bias.half().float())
    assert not torch.equal(after.params["layers.0.bias"], bias)


def test_activations_are_rounded_by_evaluation():
    assert build("uniform(bits=8, activations=8)")(model()).activations == Activations(8)
    assert build("uniform(bits=8)")(model()).activations is None
