"""Whatever a module is and does when it runs, it is left as it was: every tensor, mode and attribute."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import leaq
from leaq.models import ModuleModel, checkpoints_of
from leaq.models.calling import call, evaluating, places
from tests.unit.pipeline.finished.models import audit_finished, noisy


class TwoNames(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.layers = nn.ModuleList([self.first, nn.Linear(8, 2)])

    def forward(self, x):
        return self.layers[1](self.layers[0](x).relu())


class ConvTwice(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = nn.Conv1d(1, 1, 3, padding=1)
        self.again = self.block
        self.out = nn.Linear(6, 2)

    def forward(self, x):
        return self.out(self.again(self.block(x.unsqueeze(1)).relu()).flatten(1))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.out = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.out(self.b(self.a(x).relu()))


class Writing(nn.Module):
    """Writes buffers, attributes and containers whenever it runs."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 2)
        self.register_buffer("seen", torch.tensor(0))
        self.register_buffer("mean", torch.zeros(6))
        self.last = None
        self.calls = 0
        self.cache, self.history = {}, []

    def forward(self, x):
        self.seen += 1
        self.mean.mul_(0.9).add_(0.1 * x.mean(0))
        self.last, self.calls = x, self.calls + 1
        self.history.append(x)
        self.cache["x"] = x
        return self.layer(x) + self.mean.sum()


class Renormalised(nn.Module):
    """Looks rows up in a table that lookups rescale in place."""

    def __init__(self):
        super().__init__()
        self.table, self.out = nn.Embedding(4, 6, max_norm=0.5), nn.Linear(6, 2)

    def forward(self, x):
        return self.out(self.table((x[:, 0] > 0).long()) + x)


def dynamic():
    return torch.ao.quantization.quantize_dynamic(plain(), {nn.Linear}, torch.qint8)


def plain():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))


def lazy():
    module = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(2))
    module(torch.zeros(1, 6))
    return module


def exported():
    shape = ({0: torch.export.Dim("n", min=1, max=4096)},)
    return torch.export.export(plain(), (torch.zeros(3, 6),), dynamic_shapes=shape).module()


def parametrised():
    return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(6, 8)), nn.ReLU(), nn.Linear(8, 2))


def hooked():
    return nn.Sequential(nn.utils.weight_norm(nn.Linear(6, 8)), nn.ReLU(), nn.Linear(8, 2))


KINDS = {
    "plain": plain, "two names": TwoNames, "used twice": ConvTwice, "tied": Tied, "writes in forward": Writing,
    "renormalised table": Renormalised,
    "batch norm": lambda: nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)),
    "lazy, run once": lazy, "parametrised": parametrised, "old weight norm": hooked,
    "a part scripted": lambda: nn.Sequential(nn.Linear(6, 6), torch.jit.script(nn.Linear(6, 4)), nn.Linear(4, 3)),
    "scripted": lambda: torch.jit.script(TwoNames()), "traced": lambda: torch.jit.trace(plain(), torch.zeros(3, 6)),
    "exported": exported, "half precision": lambda: plain().half(), "training mode": lambda: plain().train(),
}  # fmt: skip


def prints(module):
    """Every tensor by value and identity, every mode, every attribute."""
    tensors = {}
    for name, tensor in (
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    ):
        tensors[name] = tensor.detach().clone()
    modes = [part.training for part in module.modules()]
    held = {
        (name, key): (repr(value) if not isinstance(value, torch.Tensor) else value.detach().clone())
        for name, part in module.named_modules()
        if not isinstance(part, torch.jit.ScriptModule)
        for key, value in vars(part).items()
        if key not in ("_parameters", "_buffers", "_modules")
    }
    return tensors, modes, held


def same(before, after):
    for old, new in zip(before, after, strict=True):
        if isinstance(old, dict):
            assert old.keys() == new.keys()
            for key, value in old.items():
                equal = torch.equal(value, new[key]) if isinstance(value, torch.Tensor) else value == new[key]
                assert equal, key
        else:
            assert old == new


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_an_audit_leaves_every_kind_of_module_as_it_was(kind):
    torch.manual_seed(0)
    module = KINDS[kind]()
    x, y = noisy(n=60)
    before, draws = prints(module), torch.get_rng_state()
    twice = [
        audit_finished(module, (x[:30], y[:30]), (x[30:], y[30:]), quantizers="sign", draws=20, neighbours=3)
        for _ in range(2)
    ]
    same(before, prints(module))
    assert torch.equal(draws, torch.get_rng_state())
    first, second = ([row.metrics["loss"].value for row in result.rows] for result in twice)
    assert first == second
    with torch.no_grad(), evaluating(module):
        outputs = call(module, {}, torch.tensor(x).to(next(module.parameters()).dtype)).double()
    by_hand = nn.functional.cross_entropy(outputs[30:], torch.tensor(y[30:])).item()
    assert first[0] == pytest.approx(by_hand, abs=2e-3 if kind == "half precision" else 1e-5)
    same(before, prints(module))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "kind", ["two names", "used twice", "tied", "writes in forward", "scripted", "a part scripted"]
)
def test_exchanged_weights_give_what_a_module_with_these_weights_gives(kind):
    torch.manual_seed(1)
    module = KINDS[kind]()
    params = {
        name: torch.randn(3, *t.shape[1:]) for name, t in checkpoints_of(module).params.items() if "mean" not in name
    }
    found = ModuleModel(module).forward(params, x := torch.randn(5, 6))
    for i in range(3):
        other = copy.deepcopy(module).eval()
        with torch.no_grad():
            for name, tensor in params.items():
                dict(other.named_parameters())[name].copy_(tensor[i])
            torch.testing.assert_close(found[i], other(x))


@pytest.mark.filterwarnings("ignore")
def test_a_packed_module_runs_beside_its_original_and_stays_as_it_was():
    torch.manual_seed(0)
    module = plain()
    packed = torch.ao.quantization.quantize_dynamic(module, {nn.Linear}, torch.qint8)
    before = packed(torch.ones(2, 6))
    x, y = noisy(n=60)
    row = audit_finished(
        module, (x[:30], y[:30]), (x[30:], y[30:]), quantizers="none", draws=20, shipped={"int8": packed}
    ).rows[1]
    assert torch.equal(packed(torch.ones(2, 6)), before)
    assert 8 < row.size.bits < 40  # a scale and biases beside 64 codes: small nets carry much beside their weights
    assert row.size.bytes >= sum(p.numel() for p in module.parameters())


def test_each_place_is_exchanged_once():
    module = TwoNames()
    assert sorted(places(module, {"first.weight": torch.zeros(8, 6)})) == ["first.weight"]
    assert sorted(places(module, {"layers.0.weight": torch.zeros(8, 6)})) == ["first.weight"]
    assert sorted(places(Tied(), {"a.weight": torch.zeros(6, 6)})) == ["a.weight", "b.weight"]


def test_a_random_model_is_named_as_that_and_never_accepted_by_luck():
    from leaq.errors import UnsupportedModel

    class Rarely(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 2)

        def forward(self, x):
            return self.layer(x) + (torch.rand(()) < 0.3)

    x, y = noisy(n=60)
    for seed in range(5):
        torch.manual_seed(seed)
        with pytest.raises(UnsupportedModel, match="random in evaluation mode: two runs on the same 30 records"):
            audit_finished(Rarely(), (x[:30], y[:30]), (x[30:], y[30:]), quantizers="none", draws=20)
    assert np.isfinite(x).all()


class CastsItself(nn.Module):
    """A half-precision network whose forward method casts what it is given, in the several ways there are."""

    def __init__(self, cast):
        super().__init__()
        self.net, self.cast = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2)).bfloat16(), cast

    def forward(self, x):
        return self.net(self.cast(x)).float()


@pytest.mark.parametrize(
    "cast",
    [
        lambda x: x.bfloat16(),
        lambda x: x.to(torch.bfloat16),
        lambda x: x.to(dtype=torch.bfloat16),
        lambda x: torch.as_tensor(x, dtype=torch.bfloat16),
    ],
)
def test_where_halves_are_lent_in_32_bits_casts_to_half_are_casts_to_32(cast):
    module, x = CastsItself(cast), torch.randn(5, 6)
    lent = {name: tensor.detach().float() for name, tensor in module.named_parameters()}
    wide = copy.deepcopy(module.net).float()
    torch.testing.assert_close(call(module, lent, x), wide(x))
    stacked = {name: tensor[None].expand(3, *tensor.shape) for name, tensor in lent.items()}
    together = torch.func.vmap(lambda one: call(module, one, x))(stacked)
    torch.testing.assert_close(together[1], wide(x))
    assert module(x).dtype == torch.float32  # outside, it casts as ever
    assert torch.equal(module(x), module.net(x.bfloat16()).float())


def test_a_half_precision_network_that_casts_itself_is_audited_finished_and_by_a_recipe():
    x, y = noisy()
    row = audit_finished(CastsItself(lambda x: x.half()), (x[:60], y[:60]), (x[60:], y[60:]), quantizers=()).rows[0]
    assert np.isfinite(row.metrics["loss"].value)

    def train(records, seed):
        return CastsItself(lambda x: x.bfloat16())

    found = leaq.audit((x, y), recipe=train, quantizers="none", replicates=4)
    assert np.isfinite(found.rows[0].metrics["accuracy"].value)
