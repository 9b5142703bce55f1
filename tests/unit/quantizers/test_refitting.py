"""The refit: its closed form against a slow twin, what it is for on trained models, and what it never touches."""

import numpy as np
import pytest
import torch
from torch import nn

from leaq.errors import InvalidInput
from leaq.models import ModuleModel, checkpoints_of
from leaq.quantizers import Calibration, build, pack, unpack
from leaq.quantizers.refitting import line_through
from tests.unit.quantizers.cases import far


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
    expected = scheme.fitted_to(second, calibration)(second)
    assert all(torch.equal(read.params[name], expected.params[name]) for name in expected.params)


def test_biases_are_fitted_or_rounded_and_not_both():
    with pytest.raises(InvalidInput, match="refit fits the biases itself"):
        build("sign(refit=layers, bias=int8)")
