"""The refit: its closed form against a slow twin, what it is for on trained models, and what it never touches."""

import numpy as np
import pytest
import torch
from torch import nn

from leaq.data.tables import from_arrays
from leaq.errors import InvalidInput, UnsupportedModel
from leaq.models import ModuleModel, checkpoints_of
from leaq.quantizers import Calibration, build, pack, unpack
from leaq.quantizers.refitting import line_through
from leaq.training import TrainingConfig, train
from leaq.types import Checkpoints


def test_line_is_that_of_least_squares_a_channel_at_a_time():
    rng = np.random.default_rng(0)
    u, noise = rng.normal(size=(2, 30, 4)), rng.normal(size=(2, 30, 4))
    t = 2 * u + noise
    shares = (rng.random((2, 30)) < 0.7).astype(float)
    gain, shift = line_through(*(torch.tensor(part) for part in (u, t, shares)))
    for model in range(2):
        used = shares[model] > 0
        for channel in range(4):
            slope, constant = np.polyfit(u[model, used, channel], t[model, used, channel], 1)
            assert gain[model, channel].item() == pytest.approx(slope)
            assert shift[model, channel].item() == pytest.approx(constant)


def test_no_gain_is_negative_and_a_constant_channel_keeps_its_own():
    u = torch.tensor([[[0.0, 5.0], [1.0, 5.0]]])
    t = torch.tensor([[[1.0, 2.0], [0.0, 4.0]]])
    gain, shift = line_through(u, t, torch.ones(1, 2))
    assert gain.tolist() == [[0.0, 1.0]]
    assert shift.tolist() == [[0.5, -2.0]]


@pytest.fixture(scope="module")
def trained():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 12))
    samples = from_arrays(x, x[:, 0] + np.abs(x[:, 1]) + 0.1 * rng.normal(size=200))
    members = np.zeros((3, 200), dtype=bool)
    members[:, :120] = rng.random((3, 120)) < 0.6
    config = TrainingConfig(hidden=(16, 8), epochs=30, checkpoints=5, standardise="pool")
    model, checkpoints = train(samples, members, config, seed=0)
    return model, checkpoints, samples.inputs[120:]


def far(trained, spec):
    """Mean squared distance from the outputs in full precision on the calibration records, by model."""
    model, checkpoints, public = trained
    released = checkpoints.last()
    found = build(spec)(released, Calibration(model, public, source="public records"))
    x = torch.tensor(public, dtype=torch.float32)
    return (model.forward(found.params, x) - model.forward(released.params, x)).square().mean((1, 2))


@pytest.mark.parametrize("codes", ["sign()", "ternary(sparsity=0.75)", "uniform(bits=2)", "pruned(sparsity=0.75)"])
def test_each_refit_comes_nearer_to_full_precision_than_the_one_before(trained, codes):
    opened = codes[:-1] + (", " if codes[-2] != "(" else "")
    plain, last, layers, outputs = (
        far(trained, f"{opened}refit={how})") for how in ("off", "last", "layers", "outputs")
    )
    assert (last < plain).all()
    assert layers.mean() < last.mean()
    assert (outputs < layers).all()


def test_codes_stay(trained):
    model, checkpoints, public = trained
    released, records = checkpoints.last(), Calibration(model, public, source="public records")
    plain, refitted = (build(f"ternary(sparsity=0.75, refit={how})") for how in ("off", "outputs"))
    before, after = plain.codes(released, records), refitted.codes(released, records)
    for name in before:
        assert torch.equal(before[name][0], after[name][0])


def test_a_refitted_model_with_positions_and_one_with_attention():
    """Convolutions are refitted layer by layer; attention's joint projection only on the outputs. Files hold both."""
    torch.manual_seed(0)

    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
            self.head = nn.Linear(6, 1)

        def forward(self, x):
            return self.head(self.attention(x, x, x, need_weights=False)[0].mean(1))

    convolves = nn.Sequential(nn.Conv1d(5, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2))
    records = np.random.default_rng(0).normal(size=(40, 5, 6)).astype(np.float32)
    for module in (convolves, Attends()):
        model, released = ModuleModel(module), checkpoints_of(module)
        calibration = Calibration(module, records, source="public records")
        exact = model.forward(released.params, torch.tensor(records))
        errors = [
            (model.forward(build(spec)(released, calibration).params, torch.tensor(records)) - exact).square().mean()
            for spec in ("ternary(sparsity=0.5)", "ternary(sparsity=0.5, refit=outputs)")
        ]
        assert errors[1] < errors[0] / 2


def test_the_file_holds_the_gains(trained, tmp_path):
    model, checkpoints, public = trained
    scheme = build("sparse_refit(sparsity=0.75, stop=0.4)")
    calibration = Calibration(model, public, source="public records")
    pack(checkpoints, scheme, tmp_path / "x.safetensors", calibration=calibration)
    read, spec = unpack(tmp_path / "x.safetensors")
    assert spec == scheme.spec()
    second = checkpoints.at((slice(None), 1))  # of 5, after 40 %
    expected = scheme.frozen_to(second, calibration)(second)
    assert all(torch.equal(read.params[name], expected.params[name]) for name in expected.params)


def test_biases_are_fitted_or_rounded_and_not_both():
    with pytest.raises(InvalidInput, match="refit fits the biases itself"):
        build("sign(refit=layers, bias=int8)")


# -- a student ---------------------------------------------------------------------------------------------------------


def test_a_student_answers_like_the_model_and_shares_no_weight_with_it(trained):
    _, checkpoints, public = trained
    assert (far(trained, "distilled") < far(trained, "sign")).all()
    model = trained[0]
    released = checkpoints.last()
    student = build("distilled")(released, Calibration(model, public, source="public records"))
    for name, role in released.roles.items():
        if role != "scaler":
            assert not torch.equal(student.params[name], released.params[name])
    first = "layers.0.weight"
    pair = [one.params[first][0].ravel().numpy() for one in (released, student)]
    assert abs(np.corrcoef(*pair)[0, 1]) < 0.5


def test_a_student_learns_from_every_public_record_a_batch_a_step(trained):
    model, checkpoints, _ = trained
    rng = np.random.default_rng(0)
    records, wanted = rng.normal(size=(700, 12)), rng.normal(size=(2000, 12))
    seen = torch.tensor(wanted, dtype=torch.float32)
    released, most = checkpoints.last(), build("distilled").records
    apart = []
    for count in (40, 700):
        known = Calibration(model, records[:count], source="public records", most=most)
        assert known.rows.shape == (1, count)
        student = build("distilled(steps=300)")(released, known)
        gap = model.forward(student.params, seen) - model.forward(released.params, seen)
        apart.append(gap.square().mean((1, 2)))
    assert (apart[1] < 0.5 * apart[0]).all()


def test_a_student_of_a_normalised_model_is_refused():
    module = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 1))
    records = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    with pytest.raises(UnsupportedModel, match=r"a student may take over nothing that was trained. Found 1\.weight"):
        build("distilled")(checkpoints_of(module), Calibration(module, records, source="public records"))


# -- what inputs keep --------------------------------------------------------------------------------------------------


def test_survivors_are_the_largest_products_of_weight_and_input():
    rng = np.random.default_rng(1)
    weight, records = rng.normal(size=(1, 6, 10)), rng.normal(size=(50, 10)) * np.arange(10)
    scheme = build("ternary(sparsity=0.7, keep=inputs)")

    class Linear:
        homogeneous = ()

        def layer_inputs(self, params, inputs, shares):
            return {"weight": (inputs, shares)}

        def outputs(self, params, inputs):
            return inputs @ params["weight"].transpose(1, 2)

    given = Checkpoints({"weight": torch.tensor(weight)}, {"weight": "linear"}, (1,))
    found = scheme(given, Calibration(Linear(), records, source="public records")).params["weight"][0].numpy()
    score = np.abs(weight[0]) * np.sqrt((records**2).mean(0))
    kept = score >= np.sort(score.ravel())[42]
    np.testing.assert_array_equal(found != 0, kept)
    np.testing.assert_allclose(found, np.sign(weight[0]) * kept * np.abs(weight[0][kept]).mean())
    assert not kept[:, 0].any()  # the input that never occurs


# -- stopping early ----------------------------------------------------------------------------------------------------


def test_stop_releases_an_earlier_checkpoint(trained):
    _, checkpoints, _ = trained
    early = build("sign(stop=0.4)").recorded(checkpoints)
    assert early.batch == (3, 2)
    assert torch.equal(early.last().params["layers.0.weight"], checkpoints.params["layers.0.weight"][:, 1])
    assert build("sign(stop=0.01)").recorded(checkpoints).batch == (3, 1)
    assert [flag.code for flag in build("none(stop=0.5)").flags()] == ["stopped-early"]


def test_stop_needs_checkpoints(trained):
    _, checkpoints, _ = trained
    with pytest.raises(InvalidInput, match=r"sign\(stop=0.4\): stop needs the checkpoints of training"):
        build("sign(stop=0.4)")(checkpoints.last())


def test_an_average_of_recorded_weights_is_released(trained):
    _, checkpoints, *_ = trained
    recorded = build("none(average=0.4)").recorded(checkpoints)
    assert recorded.batch == checkpoints.batch
    weight, count = checkpoints.params["layers.0.weight"], round(0.4 * checkpoints.batch[1])
    assert torch.allclose(recorded.last().params["layers.0.weight"], weight[:, -count:].mean(1))
    assert torch.equal(recorded.params["layers.0.weight"][:, :-1], weight[:, :-1])
    assert torch.equal(recorded.params["input.mean"], checkpoints.params["input.mean"])
    assert build("sign(average=0.4)").label() == "sign, mean of the last 40%"


def test_an_average_up_to_a_stop_looks_at_nothing_behind_it(trained):
    _, checkpoints, *_ = trained
    early = build("none(stop=0.6, average=1)").recorded(checkpoints)
    kept = early.batch[1]
    assert kept == round(0.6 * checkpoints.batch[1])
    weight = checkpoints.params["layers.0.weight"]
    assert torch.allclose(early.last().params["layers.0.weight"], weight[:, :kept].mean(1))
    with pytest.raises(InvalidInput, match=r"none\(average=0.5\): average needs the checkpoints of training"):
        build("none(average=0.5)")(checkpoints.last())
