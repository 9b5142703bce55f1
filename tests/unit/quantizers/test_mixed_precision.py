"""Weights that go another way than the rest."""

import pytest
import torch

from leaq.errors import InvalidInput
from leaq.quantizers import build
from leaq.quantizers.files.packing import pack, unpack
from leaq.quantizers.mixed_precision import others_of, spelled
from leaq.types import Checkpoints

MIXED = "uniform(bits=2, others='b.*=uniform(bits=8); c.weight=full')"


@pytest.fixture
def stack():
    torch.manual_seed(0)
    names = ("a.weight", "b.weight", "c.weight")
    return Checkpoints({name: torch.randn(3, 8, 16) for name in names}, dict.fromkeys(names, "linear"), (3,))


def test_each_weight_goes_its_way(stack):
    after = build(MIXED)(stack).params
    for name, spec in (("a.weight", "uniform(bits=2)"), ("b.weight", "uniform(bits=8)")):
        assert torch.equal(after[name], build(spec)(stack).params[name])
    assert torch.equal(after["c.weight"], stack.params["c.weight"])


def test_a_specification_builds_the_same_again(stack, tmp_path):
    scheme = build(MIXED)
    assert scheme.spec() == MIXED
    assert build(scheme.spec()) == scheme
    assert scheme.label() == "2-bit per channel, others 8-bit per channel, full"
    assert "b.* goes through uniform(bits=8)." in scheme.describe()
    size = pack(stack, scheme, tmp_path / "m.safetensors")
    read, spec = unpack(tmp_path / "m.safetensors")
    assert spec == MIXED
    assert torch.equal(read.params["b.weight"], scheme(stack).params["b.weight"])
    assert size.bits == pytest.approx((2 + 8 + 32) / 3 + 2 / 3 * 2, abs=0.7)


def test_the_first_name_that_fits_counts(stack):
    plan = build("sign(others='a.weight=full; *=uniform(bits=4)')").plan(stack)
    assert {name: scheme.name for name, scheme in plan.items()} == {"b.weight": "uniform", "c.weight": "uniform"}


def test_the_text_is_that_of_its_parts():
    text = spelled({"a": "full", "b": "gguf(type=Q6_K)"})
    assert [name for name, _ in others_of(text)] == ["a", "b"]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("sign(others='d.weight=full')", "'d.weight' must be a weight of the model. Found a.weight, b.weight"),
        ("sign(others='a.weight')", "must read NAME=QUANTIZER; NAME=full"),
        ("sign(others='a.weight=gptq')", "must need no records and name no others"),
        ("sign(others='a.weight=sgn')", "Did you mean 'sign'"),
    ],
)
def test_what_cannot_be_is_refused(stack, spec, said):
    with pytest.raises(InvalidInput, match=said):
        build(spec)(stack)
