"""Neighbours' losses against the slow way: a copy of the whole model for each of them, run on all non-members."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from leaq.models import checkpoints_of
from leaq.pipeline.finished import neighbouring, running
from leaq.pipeline.finished.evaluating import ModelEvaluator
from leaq.pipeline.finished.neighbouring import neighbour_table
from leaq.pipeline.finished.records import read_records
from leaq.quantizers import build
from leaq.quantizers.neighbours import draw_moves
from tests.unit.pipeline.finished.models import audit_finished


class Tokens(nn.Module):
    """Looks tokens up, convolves and mixes them, and answers by the table it looked them up in."""

    def __init__(self):
        super().__init__()
        self.table, self.conv = nn.Embedding(11, 8), nn.Conv1d(8, 8, 3, padding=1)
        self.wide, self.narrow, self.norm = nn.Linear(8, 24), nn.Linear(24, 8), nn.LayerNorm(8)
        self.runs = 0

    def forward(self, tokens):
        x = self.table(tokens)
        x = x + self.conv(x.transpose(1, 2)).transpose(1, 2)
        x = self.norm(x + self.narrow(nn.functional.gelu(self.wide(x))))
        return nn.functional.linear(x.mean(1), self.table.weight)[:, :3]


class Images(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(), nn.Linear(16, 3)
        )


def case(kind):
    torch.manual_seed(0)
    x = torch.randint(11, (40, 5)) if kind is Tokens else torch.randn(40, 1, 4, 4)
    return kind().eval(), x, torch.randint(3, (40,))


def evaluator_of(module, x, y):
    return ModelEvaluator.build(
        module, read_records((x[:20], y[:20]), name="m"), read_records((x[20:], y[20:]), name="n")
    )


def by_copies(module, quantized, moves, records):
    x, y = records
    found = []
    for k in range(len(moves) + 1):
        one = copy.deepcopy(module)
        one.load_state_dict({name: tensor[0] for name, tensor in quantized.params.items()}, strict=False)
        if k < len(moves):
            with torch.no_grad():
                one.get_parameter(moves.name[k]).view(-1)[int(moves.position[k])] = float(moves.value[k])
        found.append(nn.functional.cross_entropy(one(x[20:]).double(), y[20:], reduction="none").detach().numpy())
    return np.stack(found)


def compared(kind, spec):
    """Return the table, its flags, the losses of copies, and the quantized weights before and after."""
    module, x, y = case(kind)
    evaluator, released = evaluator_of(module, x, y), checkpoints_of(module)
    fitted = build(spec).fitted_to(released)
    quantized, moves = fitted(released), draw_moves(fitted, released, moves=40, seed=1)
    before = {name: tensor.clone() for name, tensor in quantized.params.items()}
    told = evaluator.table(quantized).held_out(0)[-1]
    table, flags = neighbour_table(evaluator, quantized, moves[0], told, quantizer=spec)
    assert all(torch.equal(tensor, before[name]) for name, tensor in quantized.params.items())
    assert table.losses.shape == (1, 41, 20)
    assert not table.members.any()
    return table.losses[0], flags, by_copies(module, quantized, moves[0], (x, y))


@pytest.mark.parametrize("kind", [Tokens, Images])
@pytest.mark.parametrize("spec", ["sign", "uniform(bits=4, per=group, group=8)"])
def test_small_models_give_the_losses_of_their_copies(kind, spec):
    losses, flags, expected = compared(kind, spec)
    assert flags == ()
    np.testing.assert_allclose(losses, expected, atol=2e-6)


@pytest.mark.parametrize("kind", [Tokens, Images])
def test_first_order_is_near_the_copies_and_says_how_near(kind, monkeypatch):
    monkeypatch.setattr(running, "LARGE", 0)
    monkeypatch.setattr(neighbouring, "TOLERANCE", 0.5)
    losses, flags, expected = compared(kind, "uniform(bits=6)")
    assert [flag.code for flag in flags] == ["first-order"]
    changes, exact = losses[:-1] - losses[-1], expected[:-1] - expected[-1]
    sizes = np.sqrt((exact**2).mean(1))
    off = np.sqrt(((changes - exact) ** 2).mean(1))
    assert np.median(off[sizes > 1e-4] / sizes[sizes > 1e-4]) < 0.05
    assert (off <= 0.3 * sizes + 1e-5).all()


@pytest.mark.parametrize("kind", [Tokens, Images])
def test_moves_too_large_for_first_order_are_run(kind, monkeypatch):
    monkeypatch.setattr(running, "LARGE", 0)
    monkeypatch.setattr(neighbouring, "TOLERANCE", -0.5)
    losses, flags, expected = compared(kind, "sign")
    assert flags == ()
    np.testing.assert_allclose(losses, expected, atol=2e-6)


@pytest.mark.parametrize("kind", [Tokens, Images])
def test_only_those_that_are_too_large_are_run(kind, monkeypatch):
    monkeypatch.setattr(running, "LARGE", 0)
    monkeypatch.setattr(neighbouring, "TOLERANCE", 0.05)
    losses, flags, expected = compared(kind, "uniform(bits=4)" if kind is Tokens else "uniform(bits=2)")
    changes, exact = losses[:-1] - losses[-1], expected[:-1] - expected[-1]
    off = np.abs(changes - exact).max(1)
    told = int(flags[0].text.split()[1])
    assert 0 < told < 40
    assert (off < 2e-6).sum() >= 40 - told
    sizes = np.sqrt((exact**2).mean(1))
    assert (np.sqrt(((changes - exact) ** 2).mean(1)) <= 0.3 * sizes + 1e-5).all()


def test_a_weight_that_is_read_elsewhere_too_is_run(monkeypatch):
    """Answers come from the table itself: no layer sees that, the gradient of the whole weight does."""
    monkeypatch.setattr(running, "LARGE", 0)
    monkeypatch.setattr(neighbouring, "TOLERANCE", 1.0)
    _, flags, _ = compared(Tokens, "uniform(bits=6)")
    told = int(flags[0].text.split()[1])
    assert 0 < told < 40


def test_a_large_model_is_lent_and_stays_as_it_was(monkeypatch):
    monkeypatch.setattr(running, "LARGE", 0)
    module, x, y = case(Images)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    held = {name: id(tensor) for name, tensor in module.named_parameters()}
    plain = audit_finished(module, (x[:20], y[:20]), (x[20:], y[20:]), quantizers=("sign",), draws=20, neighbours=6)
    assert plain.rows[1].label == "sign"

    runs = [0]

    class Late(Images):
        def forward(self, x):
            runs[0] += 1
            if runs[0] > 12:
                raise KeyboardInterrupt
            return super().forward(x)

    late = Late().eval()
    late.load_state_dict(before)
    with pytest.raises(KeyboardInterrupt):
        audit_finished(late, (x[:20], y[:20]), (x[20:], y[20:]), quantizers=("sign",), draws=20, neighbours=6)
    for one in (module, late):
        assert all(torch.equal(tensor, before[name]) for name, tensor in one.state_dict().items())
    assert {name: id(tensor) for name, tensor in module.named_parameters()} == held
    assert all(parameter.grad is None for parameter in module.parameters())


def test_a_large_model_needs_few_passes(monkeypatch):
    """Forty neighbours take less than two passes over the non-members; forty runs would take forty."""
    monkeypatch.setattr(running, "LARGE", 0)
    monkeypatch.setattr(neighbouring, "TOLERANCE", 1.0)
    module, x, y = case(Images)
    x, y = torch.randn(620, 1, 4, 4), torch.randint(3, (620,))
    evaluator, released = evaluator_of(module, x, y), checkpoints_of(module)
    quantizer = build("uniform(bits=8)")
    quantized, moves = quantizer(released), draw_moves(quantizer, released, moves=40, seed=1)
    told, seen = evaluator.table(quantized).held_out(0)[-1], [0]
    hook = module.register_forward_pre_hook(lambda _, args: seen.__setitem__(0, seen[0] + len(args[0])))
    neighbour_table(evaluator, quantized, moves[0], told, quantizer="uniform(bits=8)")
    hook.remove()
    assert seen[0] < 2 * len(evaluator.nonmembers)
