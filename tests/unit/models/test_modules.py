"""Any module as stacked weights: the vectorised run against one model after another, and the user's model untouched."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from leaq.errors import InvalidInput, UnsupportedModel
from leaq.models import ModuleModel, checkpoints_of, evaluating, roles_of, unwrap
from leaq.models.roles import parameter_doubts, shared_names
from leaq.quantizers import Calibration, build
from leaq.types import Activations, Checkpoints


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        return self.head(torch.tanh(self.embed(tokens)).mean(1))


class Graph(nn.Module):
    """A graph convolution on dense adjacency matrices: inputs are a pair."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, nodes, adjacency):
        return self.second(torch.relu(adjacency @ self.first(nodes)).mean(1))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.body, self.head = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False), nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.body(x).mean(1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.GRU(5, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.body(x)[0][:, -1])


def conv():
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(48, 2)
    )


KINDS = {
    "perceptron": (lambda: nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 2)), lambda: torch.randn(6, 5)),
    "convolution": (conv, lambda: torch.randn(6, 1, 6, 6)),
    "graph": (Graph, lambda: (torch.randn(6, 3, 4), torch.rand(6, 3, 3))),
    "transformer": (Encoder, lambda: torch.randn(6, 4, 8)),
    "recurrent": (Recurrent, lambda: torch.randn(6, 4, 5)),
    "tied": (Tied, lambda: torch.randint(11, (6, 5))),
}


def one_after_another(module, params, inputs):
    """The obviously right twin: load each set of weights into a copy, in evaluation mode."""
    found = []
    for i in range(len(next(iter(params.values())))):
        twin = copy.deepcopy(module).eval()
        with torch.no_grad():
            state = dict(twin.state_dict(keep_vars=True))
            for name, tensor in params.items():
                state[name].copy_(tensor[i])
            found.append(twin(*inputs) if isinstance(inputs, tuple) else twin(inputs))
    return torch.stack(found)


def jittered(module, count=3):
    generator = torch.Generator().manual_seed(1)
    base = checkpoints_of(module).params
    return {n: t + 0.1 * torch.rand((count, *t.shape[1:]), generator=generator) for n, t in base.items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("vectorised", [True, False])
def test_stacked_run_agrees_with_one_model_after_another(kind, vectorised):
    torch.manual_seed(0)
    make, inputs = KINDS[kind]
    module, x = make().train(), inputs()
    params = jittered(module)
    found = ModuleModel(module, vectorised=vectorised).forward(params, x)
    torch.testing.assert_close(found, one_after_another(module, params, x), rtol=1e-4, atol=1e-5)


def test_the_comparison_catches_an_adapter_that_unties_weights():
    torch.manual_seed(0)
    module, x = Tied(), torch.randint(11, (6, 5))
    params = jittered(module)
    untied = Tied()
    untied.head.weight = nn.Parameter(module.head.weight.detach().clone())
    wrong = ModuleModel(untied).forward(params, x)
    assert not torch.allclose(wrong, one_after_another(module, params, x), atol=1e-3)


def test_the_users_model_is_left_exactly_as_it_was():
    torch.manual_seed(0)
    module = conv().train()
    module[4].eval()  # a part the user froze
    before = copy.deepcopy(module.state_dict())
    ModuleModel(module).forward(jittered(module), torch.randn(6, 1, 6, 6), activations=Activations(4))
    assert [part.training for part in module] == [True, True, True, True, False, True]
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert not any(part._forward_pre_hooks for part in module.modules())


def test_modes_come_back_even_if_the_model_fails():
    module = nn.Sequential(nn.Linear(2, 2)).train()
    with pytest.raises(ZeroDivisionError), evaluating(module):
        raise ZeroDivisionError
    assert module.training
    assert module[0].training


def test_a_batch_of_one_record_passes_batch_normalisation():
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).train()
    found = ModuleModel(module).forward(checkpoints_of(module).params, torch.randn(1, 3))
    assert found.shape == (1, 1, 2)


def test_activation_rounding_looks_at_one_record_at_a_time():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 3))
    params, x = checkpoints_of(module).params, torch.randn(5, 4)
    together = ModuleModel(module).forward(params, x, activations=Activations(3))[0]
    alone = torch.cat([ModuleModel(module).forward(params, row[None], activations=Activations(3))[0] for row in x])
    torch.testing.assert_close(together, alone)
    assert not torch.allclose(together, module(x))


def test_roles_come_from_the_kind_of_layer():
    module = nn.Sequential(nn.Conv1d(2, 3, 3), nn.LayerNorm(4), nn.Embedding(5, 6), nn.Linear(6, 2))
    roles = roles_of(module)
    assert roles == {
        "0.weight": "conv1d",
        "0.bias": "bias",
        "1.weight": "norm",
        "1.bias": "norm",
        "2.weight": "embedding",
        "3.weight": "linear",
        "3.bias": "bias",
    }


def test_batch_statistics_are_released_but_never_quantized():
    roles = roles_of(nn.BatchNorm1d(3))
    assert roles == dict.fromkeys(("weight", "bias", "running_mean", "running_var"), "norm")


def test_only_trainable_parameters_of_an_adapter_are_taken():
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    module[0].requires_grad_(False)
    assert set(roles_of(module, trainable=True)) == {"1.weight", "1.bias"}


def test_tied_parameters_are_named_and_taken_once():
    module = Tied()
    assert shared_names(module) == {"head.weight": "embed.weight"}
    assert set(checkpoints_of(module).params) == {"embed.weight"}
    assert [flag.code for flag in parameter_doubts(module)] == ["tied-weights"]


def test_half_precision_runs_in_32_bits_and_is_flagged():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2)).half()
    checkpoints = checkpoints_of(module)
    assert {tensor.dtype for tensor in checkpoints.params.values()} == {torch.float32}
    x = torch.randn(5, 3)
    found = ModuleModel(module).forward({"0.weight": checkpoints.params["0.weight"]}, x.half())[0]
    torch.testing.assert_close(found, copy.deepcopy(module).float()(x.half().float()))
    assert "half-precision" in [flag.code for flag in parameter_doubts(module)]
    assert module[0].weight.dtype == torch.float16


def test_weights_without_values_are_refused():
    with torch.device("meta"):
        module = nn.Linear(3, 2)
    with pytest.raises(
        UnsupportedModel, match=r"must have values. 'weight' is on the meta device. Load the checkpoint"
    ):
        parameter_doubts(module)


def test_batch_normalisation_without_statistics_is_refused():
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, track_running_stats=False))
    with pytest.raises(UnsupportedModel, match="must not depend on the others in its batch. BatchNorm1d '1'"):
        parameter_doubts(module)


def test_unknown_layers_are_named_as_not_quantized():
    module = nn.Sequential(nn.Bilinear(2, 2, 3))
    text = next(flag.text for flag in parameter_doubts(module) if flag.code == "unquantized-other")
    assert "0.weight" in text


def test_nan_weights_and_models_without_weights_are_refused():
    module = nn.Linear(2, 2)
    with torch.no_grad():
        module.weight[0, 0] = torch.nan
    with pytest.raises(InvalidInput, match="'weight' holds NaN"):
        checkpoints_of(module)
    with pytest.raises(InvalidInput, match="must have floating-point weights"):
        checkpoints_of(nn.ReLU())


def test_outputs_of_other_kinds_are_refused():
    class Text(nn.Linear):
        def forward(self, x):
            return "no tensor"

    with pytest.raises(UnsupportedModel, match="must return a tensor, a tuple that starts with one.*Found str"):
        ModuleModel(Text(2, 2)).forward({"weight": torch.zeros(1, 2, 2)}, torch.zeros(1, 2))


def test_wrappers_are_taken_off():
    module = nn.Linear(2, 2)
    assert unwrap(nn.DataParallel(module)) is module
    assert isinstance(unwrap(torch.optim.swa_utils.AveragedModel(module)), type(module))
    compiled = nn.Module()
    compiled._orig_mod = module  # what torch.compile returns looks like this
    assert unwrap(nn.DataParallel(compiled)) is module


def test_weights_are_copied_unless_they_are_lent():
    module = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1).half())
    apart, lent = checkpoints_of(module), checkpoints_of(module, copied=False)
    for name, tensor in apart.params.items():
        assert torch.equal(tensor, lent.params[name])
        assert tensor.data_ptr() != module.state_dict()[name].data_ptr()
    assert lent.params["0.weight"].data_ptr() == module[0].weight.data_ptr()
    assert lent.params["1.weight"].dtype == torch.float32  # widened, and so a copy


class Twice(nn.Module):
    """Calls its second layer once for every record beyond the first, and says how often its last one ran."""

    def __init__(self):
        super().__init__()
        self.first, self.again, self.last = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x):
        x = self.first(x)
        for _ in range(len(x) - 1):
            x = self.again(x)
        RAN.append(len(x))
        return self.last(x)


RAN: list[int] = []


@pytest.mark.parametrize("count", [2, 5])
def test_one_layers_inputs_need_no_run_to_the_end(count):
    torch.manual_seed(0)
    model = ModuleModel(Twice())
    params = {name: tensor.detach().expand(2, *tensor.shape) for name, tensor in model.module.named_parameters()}
    x, shares = torch.randn(2, count, 3), torch.ones(2, count)
    whole = model.layer_inputs(params, x, shares)
    for name, (vectors, counted) in whole.items():
        RAN.clear()
        one = model.layer_inputs(params, x, shares, only=name)
        assert list(one) == [name]
        assert torch.equal(one[name][0], vectors)
        assert torch.equal(one[name][1], counted)
        # A layer that runs once is followed to the next one, which might read the same; the first counts the calls.
        reached = name == "last.weight" or (name == "again.weight" and count == 2)
        assert len(RAN) == 2 * reached + (name == "first.weight")
    assert whole["again.weight"][0].shape == (2, count * (count - 1), 3)


class Heads(nn.Module):
    """Three layers read the same numbers, a fourth reads them changed in place, and one their sum."""

    def __init__(self):
        super().__init__()
        self.inward = nn.Linear(3, 4)
        self.query, self.key, self.value, self.late = (nn.Linear(4, 4) for _ in range(4))
        self.mixed = nn.Linear(4, 2)

    def forward(self, x):
        RAN.append(len(x))
        x = self.inward(x)
        q, k, v = self.query(x), self.key(x), self.value(x)
        return self.mixed(q + k * v + self.late(x.mul_(2)))


def test_layers_that_read_the_same_are_seen_in_one_run():
    torch.manual_seed(0)
    model = ModuleModel(Heads())
    params = {name: tensor.detach().expand(2, *tensor.shape) for name, tensor in model.module.named_parameters()}
    x, shares = torch.randn(2, 5, 3), torch.ones(2, 5)
    whole = model.layer_inputs(params, x, shares)
    one = model.layer_inputs(params, x, shares, only="query.weight")
    assert list(one) == ["query.weight", "key.weight", "value.weight"]
    assert all(torch.equal(one[name][0], whole[name][0]) for name in one)
    assert list(model.layer_inputs(params, x, shares, only="key.weight")) == ["key.weight", "value.weight"]
    assert list(model.layer_inputs(params, x, shares, only="inward.weight")) == ["inward.weight"]


@pytest.mark.parametrize("spec", ["gptq(bits=3)", "sign(bias=corrected)", "uniform(bits=2, refit=layers)"])
def test_a_walk_that_sees_several_at_once_gives_the_same_weights(spec, monkeypatch):
    torch.manual_seed(0)
    module = Heads()
    released, given = checkpoints_of(module), Calibration(module, torch.randn(40, 3).numpy())
    monkeypatch.setattr(ModuleModel, "inputs_in_turn", lambda *_, **__: False)
    RAN.clear()
    found = build(spec).fitted_to(released, given)(released).params
    runs = len(RAN)
    whole = ModuleModel.layer_inputs

    def alone(self, *given, only=None):
        seen = whole(self, *given, only=only)
        return seen if only is None else {only: seen[only]}

    monkeypatch.setattr(ModuleModel, "layer_inputs", alone)
    RAN.clear()
    expected = build(spec).fitted_to(released, given)(released).params
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert runs == len(RAN) - 2


class Backwards(nn.Module):
    """Its layers run in another order than they are named in."""

    def __init__(self):
        super().__init__()
        self.last, self.first = nn.Linear(4, 2), nn.Linear(3, 4)

    def forward(self, x):
        RAN.append(len(x))
        return self.last(self.first(x).relu_())


class Codes(nn.Module):
    """An embedding, grouped and plain convolutions, and activations that write into what a layer read."""

    def __init__(self):
        super().__init__()
        self.rows = nn.Embedding(7, 4)
        self.apart = nn.Conv1d(4, 4, 3, groups=2)
        self.across = nn.Conv1d(4, 5, 2)
        self.out = nn.Linear(5, 2)

    def forward(self, x):
        RAN.append(len(x))
        x = self.apart(self.rows(x).transpose(1, 2))
        return self.out(nn.functional.relu(self.across(x) + x.relu_()[:, :1, 1:]).mean(2))


WALKED = (
    *("gptq(bits=3)", "adaround(bits=3, iterations=20)", "sign(bias=corrected)", "uniform(bits=2, refit=layers)"),
    "gptq(bits=4, bias=float16, first=full)",
)


@pytest.mark.parametrize("spec", WALKED)
@pytest.mark.parametrize("kind", [Heads, Codes])
def test_one_run_calibrates_layer_after_layer_as_a_run_for_each_does(kind, spec, monkeypatch):
    torch.manual_seed(0)
    module = kind()
    inputs = torch.randn(40, 3) if kind is Heads else torch.randint(7, (40, 6))
    released, given = checkpoints_of(module), Calibration(module, inputs.numpy())
    before = {name: tensor.clone() for name, tensor in released.params.items()}
    RAN.clear()
    found = build(spec).fitted_to(released, given)(released).params
    runs = len(RAN)
    assert all(torch.equal(tensor, before[name]) for name, tensor in released.params.items())
    monkeypatch.setattr(ModuleModel, "inputs_in_turn", lambda *_, **__: False)
    RAN.clear()
    expected = build(spec).fitted_to(released, given)(released).params
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert runs == 1 + ("corrected" in spec or "refit" in spec)
    assert len(RAN) >= runs + 2


@pytest.mark.parametrize("kind", [Backwards, Twice])
def test_layers_that_run_twice_or_in_another_order_are_run_for_one_by_one(kind):
    """Each is calibrated behind those named before it, as it was."""
    torch.manual_seed(0)
    module, seen = kind(), []
    released, given = checkpoints_of(module), Calibration(module, torch.randn(5, 3).numpy())
    model = ModuleModel(module)
    plan = [name for name in released.params if name.endswith("weight")]

    def visit(names, _):
        seen.extend(name for name in names if name in plan)
        return seen == plan[: len(seen)]

    ended = model.inputs_in_turn(released.params, torch.randn(1, 5, 3), torch.ones(1, 5), visit=visit)
    assert not ended
    both = checkpoints_of(module)
    two = Checkpoints({n: t.expand(2, *t.shape[1:]) for n, t in both.params.items()}, both.roles, (2,))
    spec = build("uniform(bits=2, refit=layers)")
    expected = spec.fitted_to(two, Calibration(module, given.inputs, np.ones((2, 5), bool)))(two)
    found = spec.fitted_to(released, given)(released)
    for name in plan:
        torch.testing.assert_close(found.params[name][0], expected.params[name][0])


def test_what_other_weights_would_need_is_kept_only_where_asked():
    torch.manual_seed(0)
    module = Heads()
    released, inputs = checkpoints_of(module), torch.randn(40, 3).numpy()
    others = released.replace({name: tensor + 0.3 for name, tensor in released.params.items()})
    kept = build("gptq(bits=3)").fitted_to(released, Calibration(module, inputs))
    alone = build("gptq(bits=3)").fitted_to(released, Calibration(module, inputs, along=False))
    assert all("factor" in scales for scales in kept.state.values())
    assert not any({"factor", "moment"} & scales.keys() for scales in alone.state.values())
    assert all(torch.equal(alone(released).params[name], kept(released).params[name]) for name in released.params)
    assert kept(others).batch == (1,)
    with pytest.raises(InvalidInput, match="fitted to the released weights alone.*along=True"):
        alone(others)
