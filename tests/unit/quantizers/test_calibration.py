"""Calibration on members, the walk through the network, bias correction, equalisation."""

import numpy as np
import pytest
import torch

from leaq.errors import InvalidInput, UnsupportedModel
from leaq.models import checkpoints_of
from leaq.quantizers import Calibration, Equalised, Uniform, build
from leaq.training import MLP
from leaq.types import Checkpoints

MODEL = MLP(d=8, k=3, hidden=(12, 10), task="classification")


def models(count: int = 2) -> Checkpoints:
    params = MODEL.init(3, range(count), dtype=torch.float64)
    # Rows and columns of very different ranges: what equalisation is for.
    spread = torch.from_numpy(np.random.default_rng(0).lognormal(0, 1.0, size=(count, 12, 1)))
    for name in ("layers.0.weight", "layers.0.bias"):
        params[name] = params[name] * spread.reshape(-1, 12, *[1] * (params[name].ndim - 2))
    params["layers.1.weight"] = params["layers.1.weight"] / spread.transpose(1, 2)
    return Checkpoints(params, MODEL.roles, (count,))


def calibration(count: int = 2, **options) -> Calibration:
    rng = np.random.default_rng(1)
    members = np.zeros((count, 60), bool)
    members[:, :30] = True
    members[1:] = ~members[1:]
    return Calibration(MODEL, rng.normal(size=(60, 8)), members, **options)


def outputs(checkpoints: Checkpoints, records: torch.Tensor) -> torch.Tensor:
    return MODEL.forward(checkpoints.params, records)


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


def test_calibrated_results_say_so():
    assert [flag.code for flag in build("gptq(bits=4)").flags()] == ["calibrated-on-members"]
    assert [flag.code for flag in build("sign(bias=corrected)").flags()] == ["calibrated-on-members"]
    assert build("equalised(bits=4)").flags() == ()
    assert "training records" in build("gptq(bits=4)").flags()[0].text


def test_a_frozen_quantizer_remembers_whose_records_it_saw():
    elsewhere = calibration(source="public records")
    for scheme, given, codes in (
        (build("gptq(bits=4)"), calibration(), ["calibrated-on-members"]),
        (build("gptq(bits=4)"), elsewhere, ["calibrated-elsewhere"]),
        (build("equalised(bits=4)"), elsewhere, []),
        (build("sign"), elsewhere, []),
    ):
        assert [flag.code for flag in scheme.frozen_to(models(), given).flags()] == codes
    assert "Calibrated on public records" in build("gptq(bits=4)").frozen_to(models(), elsewhere).flags()[0].text


def test_without_members_every_record_calibrates_every_model():
    given = Calibration(MODEL, calibration().inputs)
    everyone = Calibration(MODEL, given.inputs, np.ones((1, 60), bool))
    a, b = (build("gptq(bits=2)")(models(), one).params["layers.1.weight"] for one in (given, everyone))
    assert torch.equal(a, b)


class Mixed(torch.nn.Module):
    """Codes looked up, a convolution over them, a grouped one, a linear head."""

    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(11, 6)
        self.conv = torch.nn.Conv1d(6, 8, 3)
        self.grouped = torch.nn.Conv1d(8, 8, 2, groups=4)
        self.head = torch.nn.Linear(8, 3)

    def forward(self, codes):
        x = torch.relu(self.conv(self.table(codes).transpose(1, 2)))
        return self.head(torch.relu(self.grouped(x)).mean(-1))


@pytest.mark.parametrize("kind", ["conv1d", "conv2d"])
@pytest.mark.parametrize("spec", ["gptq(bits=2)", "adaround(bits=2)"])
def test_convolutions_are_calibrated_on_their_patches(spec, kind):
    """Never worse than rounding to nearest in any output channel on the calibration records, and better in sum."""
    torch.manual_seed(0)
    layer = torch.nn.Conv1d(3, 5, 3, padding=1) if kind == "conv1d" else torch.nn.Conv2d(3, 5, 2, stride=2)
    records = torch.rand(40, 3, *([9] if kind == "conv1d" else [6, 6])) ** 2 + 0.2
    given = checkpoints_of(layer)
    quantized = build(spec)(given, Calibration(layer, records.numpy()))
    errors = []
    for found in (quantized, Uniform(bits=2)(given)):
        rounded = torch.func.functional_call(layer, {name: t[0] for name, t in found.params.items()}, (records,))
        errors.append((rounded - layer(records)).detach().square().transpose(0, 1).flatten(1).mean(1))
    assert (errors[0] <= errors[1] * (1 + 1e-4)).all()
    assert errors[0].sum() < 0.8 * errors[1].sum()


@pytest.mark.parametrize("spec", ["gptq(bits=2)", "adaround(bits=2)"])
def test_what_is_looked_up_or_grouped_is_rounded_to_nearest(spec):
    """And said so; integer inputs reach the embedding as they are."""
    torch.manual_seed(0)
    model = Mixed()
    given = checkpoints_of(model)
    codes = np.random.default_rng(0).integers(11, size=(50, 7))
    quantized, nearest = build(spec)(given, Calibration(model, codes)), Uniform(bits=2)(given)
    for name in ("table.weight", "grouped.weight"):
        assert torch.equal(quantized.params[name], nearest.params[name])
    assert not all(torch.equal(quantized.params[name], nearest.params[name]) for name in ("conv.weight", "head.weight"))
    assert "(embeddings), and those of grouped convolutions, are rounded to nearest" in build(spec).describe()


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


def test_equalisation_keeps_the_function():
    scheme, given = Equalised(bits=8), models()
    x = torch.from_numpy(calibration().inputs)
    state = scheme.fit_model(given, calibration())
    rescaled = scheme.prepare(given, state)
    torch.testing.assert_close(outputs(rescaled, x), outputs(given, x))
    assert not torch.equal(rescaled.params["layers.0.weight"], given.params["layers.0.weight"])
    # What it is for: rows of one layer and the matching columns of the next have equal ranges.
    rows = rescaled.params["layers.0.weight"].abs().amax(2)
    columns = rescaled.params["layers.1.weight"].abs().amax(1)
    torch.testing.assert_close(rows, columns, rtol=0.05, atol=0)


def test_equalisation_helps_one_scale_per_tensor():
    given, x = models(), torch.from_numpy(calibration().inputs)
    errors = [
        (outputs(scheme(given, calibration()), x) - outputs(given, x)).square().mean()
        for scheme in (Equalised(bits=4), Uniform(bits=4, per="tensor"))
    ]
    assert errors[0] < errors[1] / 2


def test_dead_units_are_left_alone():
    given = models()
    given.params["layers.0.weight"][0, 2] = 0
    given.params["layers.1.weight"][1, :, 3] = 0
    for tensor in Equalised(bits=4)(given, calibration()).params.values():
        assert torch.isfinite(tensor).all()


@pytest.mark.parametrize("spec", ["gptq(bits=3)", "adaround(bits=3)"])
def test_calibrated_networks_beat_rounding_to_nearest(spec):
    """Summed over models, outputs on the calibration records are nearer to those in full precision."""
    given, records = models(4), calibration(4)
    errors = []
    for scheme in (build(spec), Uniform(bits=3)):
        quantized = scheme(given, records)
        inside = [torch.from_numpy(records.inputs[rows]) for rows in records.members]
        errors.append(
            sum((outputs(quantized, x)[i] - outputs(given, x)[i]).square().mean() for i, x in enumerate(inside))
        )
    assert errors[0] < errors[1]
