"""What was read is compared with the original: quantizers of every kind pass, misreadings do not."""

import pytest
import torch

from leaq.errors import InvalidInput
from leaq.models.formats.weight import Weight, nearest_reading, unlike
from leaq.quantizers import build
from leaq.types import Checkpoints


def original(shape=(48, 48), seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * torch.linspace(0.02, 0.1, shape[1])


def judge(value, wanted, step=None, others=(), *, form="codes"):
    return nearest_reading(Weight(value, step, form, "", others), wanted, name="w", subject="m", shape=wanted.shape)


@pytest.mark.parametrize("spec", [
    "sign", "sign(per=channel)", "ternary(sparsity=0.5)", "ternary(sparsity=0.95)", "twn", "uniform(bits=2)",
    "uniform(bits=2, per=tensor)", "uniform(bits=4)", "uniform(bits=8)", "uniform(bits=1, symmetric=False)", "nf4",
    "fp4", "kmeans(bits=2)", "power_of_two(bits=4)", "stochastic(bits=2)", "dithered(bits=2)", "float8(format=e5m2)",
])  # fmt: skip
def test_every_quantizer_is_near_its_original(spec):
    wanted = original()
    found = build(spec)(Checkpoints({"w": wanted.unsqueeze(0)}, {"w": "linear"}, (1,))).params["w"][0]
    assert torch.equal(judge(found, wanted, form="")[0].value, found)


def eight(wanted, axis=1):
    step = wanted.abs().amax(axis, keepdim=True) / 127
    return (wanted / step).round(), step


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_a_zero_point_off_by_one_is_refused(bits):
    wanted = original()
    step = wanted.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
    codes = (wanted / step).round()
    with pytest.raises(InvalidInput, match="must be near the original.*w.*(off by .1 steps|in sign|by another conv)"):
        judge((codes + 1) * step, wanted, step)


def test_misreadings_are_refused_with_their_cause():
    wanted = original() * torch.linspace(0.3, 3, 48).unsqueeze(1)
    codes, step = eight(wanted)
    for value, steps, cause in (
        ((codes * step).T, None, "it is stored transposed"),
        (codes, None, "scales are missing"),
        ((codes * step)[torch.randperm(48)], None, "another model's, or its rows are in another order"),
        (original(seed=1), None, "in sign no better than by chance"),
        (codes * step.T, step.T, "scales belong to other numbers"),
        (torch.zeros_like(wanted), None, "is read as 0 throughout"),
    ):
        with pytest.raises(InvalidInput, match=cause):
            judge(value, wanted, steps)
    with pytest.raises(InvalidInput, match="NaN or infinite"):
        judge(torch.full_like(wanted, torch.nan), wanted)
    with pytest.raises(InvalidInput, match=r"w must have the original's shape \(48, 48\). Found \(48, 24\) \(codes\)"):
        judge(wanted[:, :24], wanted)
    with pytest.raises(InvalidInput, match=r"Found \(48, 24\) \(codes\). It is stored transposed, as JAX and Keras do"):
        judge(wanted[:, :24], wanted[:24])


def test_a_factor_for_each_input_is_told_and_not_refused():
    wanted = original()
    factor = torch.linspace(0.3, 3, 48)
    codes, step = eight(wanted * factor)
    assert judge(codes * step, wanted, step)[1]
    codes, step = eight(wanted)
    assert not judge(codes * step, wanted, step)[1]


def test_the_files_own_convention_holds_unless_another_is_clearly_nearer():
    """Scales of two blocks that hardly differ: swapped, they may be nearer by chance."""
    wanted = original()
    codes, step = eight(wanted)
    nearly = codes * step * 1.0001
    off = [float((value - wanted).square().sum()) for value in (nearly, codes * step)]
    assert off[1] < off[0] < 1.05 * off[1]
    assert judge(nearly, wanted, step, (Weight(codes * step, step, "", "other"),))[0].convention == ""
    assert judge((codes + 3) * step, wanted, step, (Weight(codes * step, step, "", "other"),))[0].convention == "other"


def test_scales_that_are_a_multiple_throughout_are_no_equalised_inputs():
    wanted = original()
    codes, step = eight(wanted)
    for factor in (2.0, 0.5):
        for steps in (factor * step, None):
            with pytest.raises(InvalidInput, match="must be near the original"):
                judge(factor * codes * step, wanted, steps)
    factors = torch.linspace(0.4, 2.5, 48)[torch.randperm(48)]
    assert judge(codes * step * factors, wanted, step * factors)[1]


@pytest.mark.parametrize("factor", [2.0, 0.5, 3.0])
def test_an_exact_multiple_of_the_original_is_refused_in_floating_point_too(factor):
    wanted, noise = original(), original(seed=1)
    assert f"is {factor:.2g} times the original" in unlike(Weight(factor * wanted), wanted)
    assert not unlike(Weight(factor * (wanted + noise / 4)), wanted)
