"""Activations rounded as programs of integers round them, against ONNX's rule written out number by number."""

import numpy as np
import pytest
import torch
from torch import nn

from leaq.models import ModuleModel
from leaq.models.rounding import rounded
from leaq.types import Activations
from leaq.types.activations import OUTPUTS, results_of


def by_hand(values, low, high, bits):
    """DynamicQuantizeLinear and DequantizeLinear of ONNX, one number after the other."""
    most = 2**bits - 1
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32((high - low) / most)
    zero = int(np.clip(np.rint(-low / scale), 0, most))
    return [float((np.clip(np.rint(np.float32(value) / scale) + zero, 0, most) - zero) * scale) for value in values]


@pytest.mark.parametrize("shift", [-0.5, 0.0, 3.0, -9.0])
def test_free_zero_points_are_those_of_onnx(rng, shift):
    x = torch.tensor(rng.normal(size=(5, 7)) + shift, dtype=torch.float32)
    found = rounded(x, Activations(8, "free"))
    wanted = [by_hand(row, row.min(), row.max(), 8) for row in x.numpy()]
    torch.testing.assert_close(found, torch.tensor(wanted), rtol=1e-5, atol=1e-6)
    ends = torch.tensor([-1.0, 2.5])
    wanted = [by_hand(row, -1.0, 2.5, 4) for row in x.numpy()]
    torch.testing.assert_close(rounded(x, Activations(4, "free"), ends), torch.tensor(wanted), rtol=1e-5, atol=1e-6)


def test_levels_around_0_reach_one_step_further_down_than_up():
    x = torch.tensor([[-9.0, -1.2, -0.3, 0.0, 0.3, 9.0]])
    ends = torch.tensor([-1.0, 1.0])
    for zero_point in ("middle", "sign"):
        found = rounded(x, Activations(2, zero_point), ends)
        assert found.tolist() == [[-2.0, -1.0, 0.0, 0.0, 0.0, 1.0]]
    above = torch.tensor([0.0, 3.0])
    assert rounded(x, Activations(2, "sign"), above).tolist() == [[0.0, 0.0, 0.0, 0.0, 0.0, 3.0]]
    assert rounded(x + 0.9, Activations(2, "sign"), above).tolist() == [[0.0, 0.0, 1.0, 1.0, 1.0, 3.0]]


@pytest.mark.parametrize("zero_point", ["middle", "sign", "free"])
def test_what_has_no_range_and_what_is_0_throughout_stays(zero_point):
    x = torch.randn(3, 4)
    how = Activations(8, zero_point)
    assert torch.equal(rounded(x, how, torch.tensor([-torch.inf, torch.inf])), x)
    assert torch.equal(rounded(torch.zeros(3, 4), how), torch.zeros(3, 4))
    assert torch.equal(rounded(torch.zeros(3, 4), how, torch.zeros(2)), torch.zeros(3, 4))
    once = rounded(x, how)
    torch.testing.assert_close(rounded(once, how), once)


@pytest.mark.parametrize("convolves", [False, True])
def test_each_stacked_model_has_its_own_ranges(rng, convolves):
    torch.manual_seed(0)
    if convolves:
        module = nn.Sequential(nn.Conv2d(2, 3, 2), nn.Tanh(), nn.Flatten(), nn.Linear(12, 3))
        x = torch.randn(6, 2, 3, 3)
    else:
        module, x = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)), torch.randn(6, 4)
    params = {name: torch.stack([t.detach() * (1 + i) for i in range(3)]) for name, t in module.named_parameters()}
    names = ("0.weight", "3.weight", results_of("0.weight"), results_of("3.weight"), OUTPUTS)
    ranges = {name: torch.tensor(np.sort(rng.normal(size=(3, 2)), axis=1), dtype=torch.float32) for name in names}
    how = Activations(3, "free", ranges)
    assert how.outputs == "all"
    together = ModuleModel(module).forward(params, x, activations=how)
    for i in range(3):
        first = rounded(x, how, ranges["0.weight"][i])
        weight, bias, last, end = (params[name][i] for name in ("0.weight", "0.bias", "3.weight", "3.bias"))
        hidden = nn.functional.conv2d(first, weight, bias) if convolves else first @ weight.T + bias
        hidden = torch.tanh(rounded(hidden, how, ranges[results_of("0.weight")][i])).flatten(1)
        outputs = rounded(hidden, how, ranges["3.weight"][i]) @ last.T + end
        wanted = rounded(rounded(outputs, how, ranges[results_of("3.weight")][i]), how, ranges[OUTPUTS][i])
        torch.testing.assert_close(together[i], wanted)
    assert len(module[0]._forward_pre_hooks) == len(module[0]._forward_hooks) == 0
