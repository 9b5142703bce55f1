"""Random rounding: what a further release of the same model is, and what every row says about it."""

import pytest
import torch

from leaq.quantizers import build
from leaq.types import Checkpoints


@pytest.mark.parametrize("spec", ["stochastic(bits=2)", "dithered(bits=3, seed=4)"])
def test_each_further_release_has_noise_of_its_own(spec):
    weights = torch.linspace(-1, 1, 64).reshape(1, 8, 8)
    models = Checkpoints({"w": weights}, {"w": "linear"}, (1,))
    first = build(spec)
    again = first.again(3)
    assert again[0] == first
    assert [one.seed - first.seed for one in again] == [0, 1, 2]
    released = [one(models).params["w"] for one in again]
    assert not torch.equal(released[0], released[1])
    assert not torch.equal(released[1], released[2])
    assert torch.equal(released[0], first(models).params["w"])


@pytest.mark.parametrize("spec", ["stochastic(bits=2)", "dithered(bits=3)"])
def test_random_rounding_says_that_it_protects_one_release(spec):
    (flag,) = build(spec).flags()
    assert flag.code == "protects-one-release"
    assert flag.text.startswith("Protects one release: the rounding is random")
    assert "--together" in flag.text
    codes = [flag.code for flag in build(spec.replace(")", ", bias=corrected)")).flags()]
    assert codes == ["calibrated-on-members", "protects-one-release"]
    assert build("uniform(bits=2)").flags() == ()
