import numpy as np
import pytest
import torch

from leaq.models import checkpoints_of
from leaq.quantizers import Calibration, Gptq, Uniform, build
from leaq.quantizers.calibrated import output_error
from leaq.quantizers.calibration import Inputs
from tests.helpers import ROUNDING
from tests.unit.quantizers.calibrating import calibration, models, outputs
from tests.unit.quantizers.cases import weights


def slow_gptq(row: np.ndarray, moment: np.ndarray, step: float, half: int) -> np.ndarray:
    """Optimal brain surgeon, one weight at a time: the inverse Hessian of what is left is computed anew each time."""
    rest = row.copy()
    h = moment + 0.01 * np.mean(np.diag(moment)) * np.eye(len(row))
    done = np.zeros(len(row))
    for j in range(len(row)):
        done[j] = np.clip(np.round(rest[j] / step), -half, half) * step
        inverse = np.linalg.inv(h[j:, j:])
        rest[j:] -= (rest[j] - done[j]) / inverse[0, 0] * inverse[0]
    return done


def calibrated_on(seed: int, models: int, width: int) -> Inputs:
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(width, width)) + 2  # strongly correlated inputs: what GPTQ lives on
    records = torch.from_numpy(np.maximum(rng.normal(size=(models, 30, width)) @ mixing, 0))
    return Inputs(records, torch.ones(models, 30, dtype=torch.float64))


@pytest.mark.parametrize("block", [3, 64])
def test_gptq_is_optimal_brain_surgeon(monkeypatch, block):
    monkeypatch.setattr(Gptq, "BLOCK", block)
    weight, inputs = weights(5, 2, 4, 9), calibrated_on(6, 2, 9)
    scheme = Gptq(bits=3)
    scales = scheme.fit_on(weight, inputs)
    found = scheme.fake_quantize(weight, scales).numpy()
    kept = 0
    for model in range(2):
        moment = (inputs.records[model].T @ inputs.records[model] / 30).numpy()
        for row in range(4):
            step = float(scales["step"][model, row, 0])
            original = weight[model, row].numpy()
            slow = slow_gptq(original, moment, step, 3)
            plain = np.clip(np.round(original / step), -3, 3) * step
            errors = [(tried - original) @ moment @ (tried - original) for tried in (slow, plain)]
            kept += errors[0] < errors[1]
            np.testing.assert_allclose(found[model, row], slow if errors[0] < errors[1] else plain, **ROUNDING)
    assert kept >= 4, "the test must see GPTQ itself, not only the rows where rounding to nearest is kept"


SANITY = ["gptq(bits=2)", "gptq(bits=3)", "gptq(bits=4, per=group, group=4)", "adaround(bits=2)", "adaround(bits=3)"]


@pytest.mark.parametrize("spec", SANITY)
def test_calibrated_rounding_beats_rounding_to_nearest(spec):
    """On the calibration records: never worse in any output of any model, and clearly better overall."""
    scheme = build(spec)
    weight, inputs = weights(7, 3, 6, 12), calibrated_on(8, 3, 12)
    scales = scheme.fit_on(weight, inputs)
    plain = Uniform.encode(scheme, weight, scales)
    chosen = scheme.encode(weight, scales)
    errors = [
        output_error(inputs.moment, scheme.decode(codes, scales) - weight) for codes in (chosen, plain)
    ]  # (models, outputs)
    assert (errors[0] <= errors[1] * (1 + 1e-9)).all()
    assert errors[0].sum() < 0.7 * errors[1].sum()
    # The error is what it is called: the mean squared change of the outputs.
    change = (scheme.decode(chosen, scales) - weight) @ inputs.records.transpose(1, 2)
    torch.testing.assert_close(change.square().mean(-1), errors[0])


def test_worse_rounding_is_noticed():
    """The control: rounding down is worse than rounding to nearest, and the comparison above would say so."""
    scheme = Gptq(bits=3)
    weight, inputs = weights(7, 3, 6, 12), calibrated_on(8, 3, 12)
    scales = scheme.fit_on(weight, inputs)
    down = scheme.decode(Uniform.encode(scheme, weight - scales["step"] / 2, scales), scales)
    plain = scheme.decode(Uniform.encode(scheme, weight, scales), scales)
    errors = [output_error(inputs.moment, rounded - weight) for rounded in (down, plain)]
    assert (errors[0] > errors[1]).any()
    kept = scheme._better_rows(
        weight, Uniform.encode(scheme, weight - scales["step"] / 2, scales), scales, inputs.moment
    )
    assert (output_error(inputs.moment, scheme.decode(kept, scales) - weight) <= errors[1] * (1 + 1e-9)).all()


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


def test_gptq_finds_the_codes_of_a_released_model_once(monkeypatch):
    """Fitting, quantizing, counting bits and moving codes look at the same codes; other weights get their own."""
    found, rounded = [], Gptq._in_turn

    def counted(self, weight, scales):
        found.append(len(weight))
        return rounded(self, weight, scales)

    monkeypatch.setattr(Gptq, "_in_turn", counted)
    released = models()
    fitted = build("gptq(bits=3)").fitted_to(released, calibration())
    layers = len(fitted.plan(released))
    assert len(found) == layers
    quantized = fitted(released)
    fitted.size(released)
    codes = fitted.codes(released)
    assert len(found) == layers
    for name, (tensor, scales) in codes.items():
        torch.testing.assert_close(tensor, rounded(fitted.scheme, released.params[name], scales))
    again = fitted(released.replace({name: tensor + 1e-3 for name, tensor in released.params.items()}))
    assert len(found) > layers
    assert not torch.equal(again.params["layers.1.weight"], quantized.params["layers.1.weight"])
