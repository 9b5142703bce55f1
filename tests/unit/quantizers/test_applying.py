import pytest
import torch

from leaq.errors import InvalidInput
from leaq.quantizers import blocks, build
from leaq.training import MLP
from leaq.types import Checkpoints
from tests.unit.quantizers.cases import FAST, drawn_over_many_powers, model, same_bits


@pytest.mark.parametrize("spec", FAST)
def test_a_stack_cut_into_runs_is_the_stack_in_one(spec, monkeypatch):
    scheme = build(spec)
    weight = drawn_over_many_powers(3, torch.float32, 1.0)
    stack = Checkpoints({"a.weight": weight}, {"a.weight": "linear"}, (3,))
    once = scheme(stack).params["a.weight"]
    monkeypatch.setattr(blocks.tiles, "__kwdefaults__", {"repeat": 1, "most": 100})  # one model at a time
    assert same_bits(scheme(stack).params["a.weight"], once)
    assert same_bits(scheme.fitted_to(stack)(stack).params["a.weight"], once)


def test_weights_whose_scale_overflows_are_refused():
    stack = Checkpoints({"a.weight": torch.full((1, 2, 4), 3e38)}, {"a.weight": "linear"}, (1,))
    with pytest.raises(InvalidInput, match="Quantizing 'a.weight': weights must have a finite scale"):
        build("sign")(stack)


def test_sparse_ternary_costs_less_in_entropy_than_packed():
    big = MLP(d=200, k=2, hidden=(100,), task="classification")
    stack = Checkpoints(big.init(0, [0]), big.roles, (1,))
    bits = build("ternary(sparsity=0.9)").bits_per_weight(stack)
    assert bits.packed == pytest.approx(1.6, abs=0.01)
    assert bits.entropy == pytest.approx(0.569, abs=0.01)  # -0.9 log2 0.9 - 0.1 log2 0.05, and the scale


def test_layers_in_full_precision_count_with_their_bits():
    weights, last = 6 * 5 + 5 * 4 + 4, 4
    expected = (8 * ((weights - last) / 2) + 2 * 32 + 32 * last) / weights  # codes, two scales, the last layer
    assert build("uniform(bits=4, per=tensor, last=full)").bits_per_weight(model()).packed == pytest.approx(expected)


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
