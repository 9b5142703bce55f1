"""Whatever hangs on a module's attributes and a forward pass writes is put back."""

import collections
import copy

import numpy as np
import pytest
import torch
from torch import nn

from leaq.errors import InvalidInput
from leaq.models.calling import evaluating
from leaq.models.contents import LARGE, contents_of
from tests.unit.pipeline.finished.models import audit_finished, halves


class Plain:
    def __init__(self):
        self.count, self.sums, self.seen = 0, torch.zeros(2), []


WRITES = {
    "an object": (Plain, lambda held: (setattr(held, "count", 1), held.sums.add_(1), held.seen.append(1))),
    "lists in lists": (lambda: [[0], {"a": [0]}], lambda held: (held[0].append(1), held[1]["a"].append(1))),
    "numbers through .data": (lambda: torch.zeros(3), lambda held: held.data.add_(1)),
    "numbers through an array": (lambda: torch.zeros(3), lambda held: np.add(held.numpy(), 1, out=held.numpy())),
    "numbers of another shape": (lambda: torch.zeros(3), lambda held: setattr(held, "data", torch.ones(4, 2))),
    "a deque": (lambda: collections.deque([1], maxlen=2), lambda held: held.append(2)),
    "an array": (lambda: np.zeros(3), lambda held: np.add(held, 1, out=held)),
    "a set": (lambda: {1}, lambda held: held.add(2)),
    "a default": (lambda: collections.defaultdict(int), lambda held: held.__setitem__("a", held["a"] + 1)),
    "an order": (
        lambda: collections.OrderedDict(a=1),
        lambda held: held.move_to_end("b") if "b" in held else held.update(b=2),
    ),
    "a counter": (collections.Counter, lambda held: held.update("a")),
    "in a tuple": (lambda: ([0],), lambda held: held[0].append(1)),
}


def shown(held):
    return repr(vars(held) if isinstance(held, Plain) else held)


@pytest.mark.parametrize("kind", WRITES)
def test_what_a_forward_pass_writes_is_put_back(kind):
    make, write = WRITES[kind]

    class Writes(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.held = nn.Linear(6, 2), make()

        def forward(self, x):
            write(self.held)
            return self.net(x)

    model = Writes()
    held, before = model.held, shown(model.held)
    audit_finished(model, *halves(), quantizers=("sign",), draws=20, neighbours=4)
    assert model.held is held
    assert shown(model.held) == before


def test_gradients_are_asked_for_as_before():
    class Freezes(nn.Linear):
        def forward(self, x):
            self.weight.requires_grad_(False)
            return super().forward(x)

    model = Freezes(6, 2)
    audit_finished(model, *halves(), quantizers=("sign",), draws=20, neighbours=4)
    assert model.weight.requires_grad


def test_a_large_array_is_locked_while_the_model_runs():
    class Writes(nn.Linear):
        def forward(self, x):
            self.table += 1
            return super().forward(x)

    model = Writes(6, 2)
    model.table = np.zeros(LARGE + 1, dtype=np.uint8)
    with pytest.raises(InvalidInput, match="read-only"):
        audit_finished(model, *halves(), quantizers=("sign",), draws=20, neighbours=4)
    assert model.table.flags.writeable
    assert not model.table.any()


def test_things_that_hold_each_other_are_seen_once():
    one, other = [], []
    one.append(other)
    other.append(one)
    back = list(contents_of([one], set()))
    assert len(back) == 2
    before = copy.copy(one)
    one.append(3)
    for put in back:
        put()
    assert one == before


class Packed(nn.Parameter):
    """A weight that carries its scales until the layer's first run takes them, as bitsandbytes' do."""

    scales = None


class TakesScales(nn.Module):
    """A layer that moves its weight's scales to a state of its own when it first runs."""

    def __init__(self):
        super().__init__()
        self.state = Plain()
        self.weight = Packed(torch.ones(2, 3))
        self.weight.scales = torch.full((2,), 0.5)

    def forward(self, x):
        if self.weight.scales is not None:
            self.state.scales, self.weight.scales = self.weight.scales, None
        return x @ self.weight.T * self.state.scales


def test_what_a_first_run_moves_off_a_weight_is_moved_back():
    layer = TakesScales()
    for _ in range(2):
        with evaluating(layer):
            assert layer(torch.ones(1, 3)).tolist() == [[1.5, 1.5]]
    assert layer.weight.scales.tolist() == [0.5, 0.5]
    assert not hasattr(layer.state, "scales")
