"""Any torch module trained stacked, against the same module trained alone by an ordinary loop."""

import numpy as np
import pytest
import torch

from leaq.data.splits import halves
from leaq.data.tables import from_arrays
from leaq.embedders import EMBEDDERS
from leaq.evaluation import evaluate_checkpoints, with_whitebox
from leaq.models.modules import ModuleModel
from leaq.models.nets import NETS
from leaq.models.nets.chemprop import Ensemble
from leaq.seeds import stream
from leaq.training import TrainingConfig, train_modules
from leaq.training.modules import StackedModule
from leaq.training.standardise import Scaled
from leaq.types import Activations, Samples
from leaq.types.tasks import TaskSpec
from tests.helpers import require

MODELS = 3
nn = torch.nn


class Branching(nn.Module):
    """Control flow that looks at values: cannot be stacked."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        h = self.layer(x)
        return h * 2 if h.sum().item() > 0 else h


def convolution():
    return nn.Sequential(nn.Unflatten(1, (1, 4)), nn.Conv1d(1, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(9, 3))


def normalised():
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))


def regressor():
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1), nn.Flatten(0))


def attention():
    layer = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True)
    return nn.Sequential(nn.Unflatten(1, (1, 4)), nn.TransformerEncoder(layer, 1), nn.Flatten(), nn.Linear(4, 3))


def images(side, channels=2):
    def make():
        return nn.Sequential(
            nn.Unflatten(1, (1, side, side)), nn.Conv2d(1, channels, 3, padding=1), nn.MaxPool2d(2),
            nn.Conv2d(channels, 2, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3),
        )  # fmt: skip

    return make


def graphs():
    return NETS.build("dmpnn(hidden=5)")(3)


class Tied(nn.Module):
    """A layer that is used under two names, and a weight that two layers share."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.out = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.again = self.first
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.out(torch.tanh(self.second(torch.tanh(self.again(torch.tanh(self.first(x)))))))


def frozen():
    return nn.Sequential(nn.Linear(4, 6).requires_grad_(False), nn.ReLU(), nn.Linear(6, 3))


CASES = {
    "tied": Tied,
    "frozen": frozen,
    "convolution": convolution,
    "batch norm": normalised,
    "attention": attention,
    "branching": Branching,
    "regressor": regressor,
    "graphs": graphs,
}


def molecules(n=40):
    """Chains and rings of different lengths, packed."""
    require("rdkit")
    found = [f"{head}{'C' * length}{tail}" for length in range(1, 6) for head in "NOCS" for tail in ("", "c1ccccc1")]
    return EMBEDDERS.build("molgraph").encode(found[:n]).features.astype(np.float64)


def records(name, rng, n=40):
    if name == "graphs":
        return Samples(molecules(n), rng.permutation(np.arange(n) % 3), "classification", classes=("a", "b", "c"))
    x = rng.normal(size=(n, 4))
    return from_arrays(x, rng.normal(size=n) if name == "regressor" else rng.permutation(np.arange(n) % 3))


def alone(make, samples, members, config, *, seed, model):
    torch.manual_seed(int(stream(seed, "init", model).integers(2**63 - 1)))
    net = make().double().train()
    x, y = torch.tensor(samples.inputs), torch.tensor(samples.targets)
    scale = float(np.std(samples.targets)) if samples.task == "regression" else 1.0
    optimizer = torch.optim.Adam(net.parameters(), lr=config.learning_rate)
    rng = stream(seed, "batches", model)
    for _ in range(config.epochs):
        order = rng.permutation(np.flatnonzero(members))
        for start in range(0, len(order), config.batch_size):
            batch = torch.tensor(order[start : start + config.batch_size])
            out = net(x[batch])
            if samples.task == "regression":
                loss = (((out - y[batch]) / scale) ** 2).mean()
            else:
                loss = nn.functional.cross_entropy(out, y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net


@pytest.fixture(params=CASES)
def trained(request, rng):
    name = request.param
    samples = records(name, rng)
    members = halves(samples, MODELS, seed=1)
    config = TrainingConfig(epochs=3, batch_size=7, learning_rate=0.01, checkpoints=1, dtype="float64")
    model, checkpoints = train_modules(CASES[name], samples, members, config, seed=4)
    twins = [alone(CASES[name], samples, members[i], config, seed=4, model=i) for i in range(MODELS)]
    return name, samples, members, model, checkpoints, twins


def test_weights_and_buffers_equal_those_of_the_module_trained_alone(trained):
    *_, model, checkpoints, twins = trained
    for i, twin in enumerate(twins):
        for name, tensor in twin.state_dict().items():
            first = {"second.weight": "first.weight"}.get(name) or name.replace("again", "first")
            np.testing.assert_allclose(checkpoints.last().params[first][i], tensor, atol=1e-11)
    own = {*(name for name, _ in twins[0].named_parameters()), *(name for name, _ in twins[0].named_buffers())}
    assert set(model.roles) == own


def test_outputs_are_those_of_the_module_in_evaluation_mode(trained):
    _, samples, members, model, checkpoints, twins = trained
    table = evaluate_checkpoints(model, checkpoints, samples, members)
    for i, twin in enumerate(twins):
        with torch.no_grad():
            out = twin.eval()(torch.tensor(samples.inputs))
        np.testing.assert_allclose(table.outputs[i], out.reshape(len(samples), -1), atol=1e-11)


def test_white_box_statistic_equals_autograd_record_by_record(trained):
    _, samples, members, model, checkpoints, twins = trained
    table = with_whitebox(evaluate_checkpoints(model, checkpoints, samples, members), model, checkpoints, samples)
    twin = twins[1].eval().requires_grad_()  # the file holds what was frozen, too
    weights = [p for name, p in twin.named_parameters() if model.roles[name] in ("linear", "conv1d")]
    x, y = torch.tensor(samples.inputs), torch.tensor(samples.targets)
    rows = []
    for i in range(len(samples)):
        out = twin(x[i : i + 1])
        if samples.task == "regression":
            loss = ((out - y[i]) ** 2).sum()
        else:
            loss = nn.functional.cross_entropy(out, y[i : i + 1])
        rows.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, weights)]))
    gradients = torch.stack(rows)
    rest = gradients.sum(0) - gradients
    expected = torch.nan_to_num((gradients * rest).sum(1) / gradients.norm(dim=1))  # dead: no gradient at all
    np.testing.assert_allclose(table.whitebox[1, :, 0], expected, rtol=1e-8, atol=1e-10)


def test_what_cannot_be_stacked_is_looped_over_with_a_note(trained):
    name, *_, model, _, _ = trained
    assert (model.note is not None) == (name == "branching")
    if model.note:
        assert "one model after another" in model.note.text


@pytest.mark.parametrize(("channels", "stacks"), [(2, True), (15, True), (16, False)])
def test_copies_with_large_images_run_one_after_another_on_a_cpu(channels, stacks, rng):
    """16 channels of 32 x 32 pixels are 2 to the 14; the numbers are the same."""
    x = torch.tensor(rng.normal(size=(2, 5, 32 * 32)))
    model = StackedModule(images(32, channels), "classification", x[0, :2])
    assert model.stacks(x) == stacks
    assert model.note is None
    params = model.init(0, range(2), dtype=torch.float64)
    y, weights = torch.tensor([[0, 1, 2, 0, 1]] * 2), torch.full((2, 5), 0.2, dtype=torch.float64)
    one, other = (model.gradient(params, x, y, weights, together=way) for way in (True, False))
    for name in one:
        torch.testing.assert_close(one[name], other[name])


def ensemble():
    return Ensemble([NETS.build("dmpnn(hidden=5, aggregation=mean)")(2) for _ in range(2)], "regression")


def in_units():
    return Scaled(graphs, {"output.mean": np.full((1, 3), 2.0), "output.scale": np.array([[3.0, 0.5, 1.0]])})


TAKE_ALL = {"one": graphs, "shallow": lambda: NETS.build("dmpnn(hidden=5, depth=1)")(3), "several": ensemble,
            "scaled": in_units}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "holes"), [("one", False), ("one", True), ("shallow", False), ("several", True), ("scaled", True)]
)
def test_what_takes_all_models_at_once_has_each_models_gradient(name, holes, rng):
    """Units, means and holes of each model's own, and weights that nothing reads (`depth=1`)."""
    x = torch.tensor(molecules(12)).view(2, 6, -1)
    outputs = 2 if name == "several" else 3
    tasks = tuple(TaskSpec(str(at), "regression") for at in range(outputs))
    model = StackedModule(TAKE_ALL[name], "regression" if holes else "classification", x[0, :2], tasks=tasks * holes)
    assert model.note is None
    assert model.module.batches is not None
    params = {key: value * 1.5 if "output" in key else value
              for key, value in model.init(0, range(2), dtype=torch.float64).items()}  # fmt: skip
    y = torch.tensor(rng.normal(size=(2, 6, outputs))) if holes else torch.tensor([[0, 1, 2, 0, 1, 2]] * 2)
    weights = torch.full(y.shape, 0.2, dtype=torch.float64)
    if holes:
        y[0, 1, 0] = y[1, 2, 1] = torch.nan
    together, alone = (model.gradient(params, x, y, weights, together=way) for way in (True, False))
    for key in alone:
        torch.testing.assert_close(together[key], alone[key])
    assert any(value.any() for value in alone.values())
    each = [model.forward({key: v[i : i + 1] for key, v in params.items()}, x[i])[0] for i in range(2)]
    torch.testing.assert_close(model.outputs(params, x), torch.stack(each))


def test_dropout_reads_the_seed(rng):
    samples = records("x", rng)
    members = halves(samples, 2, seed=0)

    def make():
        return nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 3))

    def weights(seed):
        _, found = train_modules(make, samples, members, TrainingConfig(epochs=1, checkpoints=1), seed=seed)
        return found.params["0.weight"]

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_quantized_activations_round_each_record_as_one_model_alone_does(rng):
    model = StackedModule(convolution, "classification", torch.zeros(2, 4))
    params = model.init(0, [0, 1])
    x = torch.tensor(rng.normal(size=(6, 4)), dtype=torch.float32)
    rounded = model.forward(params, x, activations=Activations(4))
    for i in range(2):
        alone = ModuleModel(convolution()).forward(
            {k: v[i : i + 1] for k, v in params.items()}, x, activations=Activations(4)
        )
        torch.testing.assert_close(rounded[i], alone[0])
    assert not torch.allclose(rounded, model.forward(params, x))


def test_make_must_build_modules():
    with pytest.raises(ValueError, match=r"must return a torch.nn.Module. Found int"):
        StackedModule(lambda: 3, "classification", torch.zeros(2, 3))


def test_the_step_size_follows_its_schedule(rng):
    samples = records("regressor", rng)
    members = halves(samples, 2, seed=1)
    config = TrainingConfig(epochs=5, batch_size=7, learning_rate=0.01, schedule="warmup", dtype="float64")
    _, checkpoints = train_modules(regressor, samples, members, config, seed=4)
    step, total = 0, config.steps(int(members[0].sum()))
    torch.manual_seed(int(stream(4, "init", 0).integers(2**63 - 1)))
    twin = regressor().double()
    x, y = torch.tensor(samples.inputs), torch.tensor(samples.targets)
    optimizer = torch.optim.Adam(twin.parameters(), lr=0.001)
    # chemprop's own formula
    warm, cool = 2 * total // 5, total - 2 * total // 5
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda at: 1 + at * 9 / warm if at < warm else 10 * 0.1 ** ((at - warm) / cool)
    )
    order_of = stream(4, "batches", 0)
    for _ in range(5):
        for batch in torch.tensor(order_of.permutation(np.flatnonzero(members[0]))).split(7):
            optimizer.zero_grad()
            (((twin(x[batch]) - y[batch]) / float(np.std(samples.targets))) ** 2).mean().backward()
            optimizer.step()
            schedule.step()
            step += 1
    assert step == total
    for name, tensor in twin.state_dict().items():
        np.testing.assert_allclose(checkpoints.last().params[name][0], tensor, atol=1e-11)
