"""What no quantizer touches is counted and named: matrices whose names look like norms or biases, complex ones."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.prune import l1_unstructured

from leaq.errors import InvalidInput, UnsupportedModel
from leaq.models import checkpoints_of, roles_of
from leaq.models.roles import parameter_doubts
from leaq.quantizers import build
from leaq.training.recording import Recorder
from tests.unit.pipeline.finished.models import audit_finished, noisy


class NormedMlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.w1 = nn.Parameter(torch.randn(16, 6))
        self.debias_proj = nn.Parameter(torch.randn(16, 16))
        self.norm_matrix = nn.Parameter(torch.randn(16, 16))
        self.spectrum = nn.Parameter(torch.randn(9, dtype=torch.complex64))
        self.gain = nn.Parameter(torch.ones(16))
        self.norm, self.out = nn.LayerNorm(16), nn.Linear(16, 2)

    def forward(self, x):
        h = nn.functional.linear(
            nn.functional.linear(nn.functional.linear(x, self.w1), self.debias_proj), self.norm_matrix
        )
        h = torch.fft.irfft(torch.fft.rfft(h) * self.spectrum, n=16)
        return self.out(self.norm(h * self.gain))


class NormLinear(nn.Linear):
    """A linear layer with a norm's name."""


def test_names_that_look_like_norms_and_biases_decide_nothing():
    roles = roles_of(NormedMlp())
    assert {name for name, role in roles.items() if role == "other"} == {
        "w1", "debias_proj", "norm_matrix", "spectrum", "gain",
    }  # fmt: skip
    assert roles["norm.weight"] == roles["norm.bias"] == "norm"
    assert roles["out.weight"] == "linear"
    assert roles_of(NormLinear(3, 2))["weight"] == "linear"
    assert set(roles_of(nn.GRUCell(3, 2)).values()) == {"linear", "bias"}
    assert roles_of(nn.BatchNorm2d(3))["running_mean"] == "norm"


def test_what_is_left_is_named_with_its_count():
    flag = next(flag for flag in parameter_doubts(NormedMlp()) if flag.code == "unquantized-other")
    assert "w1, debias_proj, norm_matrix, spectrum, gain: 633 of 699 numbers" in flag.text


def test_bits_and_bytes_are_over_all_numbers():
    x, y = noisy(n=60)
    torch.manual_seed(0)
    row = audit_finished(NormedMlp(), (x[:30], y[:30]), (x[30:], y[30:]), quantizers="sign", draws=20).rows[1]
    bytes_ = 32 // 8 + 4 + 4 * (699 - 32 - 9) + 8 * 9  # 32 signs, one scale, real numbers, complex ones
    assert row.size.bytes == bytes_
    assert row.size.bits == pytest.approx(8 * bytes_ / 699)


def test_complex_weights_are_recorded_and_run(tmp_path):
    torch.manual_seed(0)
    x, y = noisy(n=60)
    for folder in (None, tmp_path / "r"):
        module = NormedMlp()
        recorder = Recorder(module, folder=folder)
        by_hand = []
        for _ in range(3):
            with torch.no_grad():
                for parameter in module.parameters():
                    parameter.add_(0.1 * torch.randn_like(parameter))
                by_hand.append(nn.functional.cross_entropy(module(torch.tensor(x)), torch.tensor(y)).item())
            recorder.step()
        from leaq.api import evaluate

        table = evaluate(module, recorder.checkpoints, members=(x[:30], y[:30]), nonmembers=(x[30:], y[30:]))
        np.testing.assert_allclose(table.losses[0].mean(1), by_hand, rtol=1e-5)


def test_parametrised_layers_are_told_how_to_be_released():
    module = nn.Sequential(*(nn.utils.parametrizations.weight_norm(nn.Linear(6, 6)) for _ in range(2)))
    with pytest.raises(InvalidInput, match="remove_parametrizations"):
        build("sign")(checkpoints_of(module))
    flag = next(flag for flag in parameter_doubts(module) if flag.code == "unquantized-other")
    assert "remove_parametrizations" in flag.text


@pytest.mark.parametrize(
    ("hooked", "remedy"),
    [
        (lambda layer: l1_unstructured(layer, "weight", 0.5), "prune.remove"),
        (nn.utils.spectral_norm, "remove_spectral"),
    ],
)
def test_weights_that_hooks_divide_or_mask_are_not_rounded_before(hooked, remedy):
    module = nn.Sequential(hooked(nn.Linear(6, 6)), nn.ReLU(), nn.Linear(6, 2)).eval()
    module(torch.zeros(2, 6))
    assert {name: role for name, role in roles_of(module).items() if "weight_orig" in name or name == "2.weight"} == {
        "0.weight_orig": "other",
        "2.weight": "linear",
    }
    flag = next(flag for flag in parameter_doubts(module) if flag.code == "unquantized-other")
    assert "0.weight_orig" in flag.text
    assert remedy in flag.text


def test_lazy_and_quantized_weights_are_no_ordinary_ones():
    with pytest.raises(UnsupportedModel, match="'1.weight' gets its shape from the first batch"):
        roles_of(nn.Sequential(nn.ReLU(), nn.LazyLinear(3)))
    with pytest.raises(UnsupportedModel, match="gets its shape from the first batch"):
        Recorder(nn.LazyLinear(3))
    packed = nn.Linear(4, 4)
    packed.weight = nn.Parameter(torch.ones(8, 1, dtype=torch.uint8), requires_grad=False)
    with pytest.raises(UnsupportedModel, match="'weight' is a Parameter of uint8: already quantized.*shipped="):
        parameter_doubts(packed)


def test_numbers_that_are_no_parameters_are_named():
    class Loose(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(4, 2)
            self.table = torch.randn(3, 4)
            self.layers = [nn.Linear(4, 4), nn.ReLU()]
            self.same = {"head": self.head}

    flag = next(flag for flag in parameter_doubts(Loose()) if flag.code == "unregistered")
    assert "table, layers: 32 numbers" in flag.text
    assert "unregistered" not in {flag.code for flag in parameter_doubts(nn.Linear(4, 2))}


@pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated:FutureWarning")
def test_weights_that_hooks_make_of_parameters_are_not_called_unregistered():
    pruned = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    l1_unstructured(pruned[0], "weight", 0.5)
    normed = nn.Sequential(nn.utils.spectral_norm(nn.Linear(4, 4)), nn.utils.weight_norm(nn.Linear(4, 2)))
    for module in (pruned, normed):
        module(torch.ones(3, 4))
        assert "unregistered" not in [flag.code for flag in parameter_doubts(module)]


def test_a_large_buffer_is_named():
    module = nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(200))
    module.register_buffer("table", torch.ones(32, 8))
    (rest,) = [flag for flag in parameter_doubts(module) if flag.code == "unquantized-rest"]
    assert "buffers of 256 numbers (table)" in rest.text
