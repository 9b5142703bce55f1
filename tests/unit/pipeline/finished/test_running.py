"""What a model must do when it runs: rows of finite numbers, the same twice, and nothing written."""

import copy
from typing import NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import leaq
from leaq.errors import InvalidInput, UnsupportedModel
from leaq.models import ModuleModel
from leaq.pipeline.finished.records import read_records
from leaq.pipeline.finished.running import run_first
from tests.unit.pipeline.finished.models import audit_finished, halves

QUICK = {"quantizers": ("sign",), "draws": 20, "neighbours": 4}


class Changed(nn.Module):
    """A network whose outputs something is done to."""

    def __init__(self, how):
        super().__init__()
        torch.manual_seed(0)
        self.net, self.how = nn.Linear(6, 2), how

    def forward(self, x):
        return self.how(self.net(x))


class WritesWeights(Changed):
    def forward(self, x):
        with torch.no_grad():
            self.net.weight.mul_(1.5)
        return self.net(x)


class WritesData(Changed):
    def forward(self, x):
        self.net.weight.data *= 1.5
        return self.net(x)


class WritesArray(Changed):
    def forward(self, x):
        found = self.net(x)
        self.net.weight.detach().numpy()[...] *= 1.5
        return found


class WritesView(Changed):
    def forward(self, x):
        self.net.weight.detach().t().data.add_(1)
        return self.net(x)


class WritesLate(Changed):
    """Writes from its third run on, when the first looks are over."""

    def forward(self, x):
        runs.append(1)
        if len(runs) > 2:
            self.net.bias.data += 0.5
        return self.net(x)


runs = []


class WritesInputs(Changed):
    def forward(self, x):
        x -= x.mean(1, keepdim=True)
        return self.net(x)


@pytest.mark.parametrize(
    ("how", "text"),
    [
        (torch.sum, r"one row of outputs a record. For 60 records it returned shape \(\)"),
        (torch.t, r"returned shape \(2, 60\)"),
        (lambda z: z[1:], r"returned shape \(59, 2\)"),
        (lambda z: z[None], r"returned shape \(1, 60, 2\)"),
        (lambda z: z * torch.nan, r"outputs must be finite. They are NaN or infinite for 60 rows"),
        (lambda z: z / 0, "outputs must be finite"),
        (lambda z: z.to(torch.complex64), "outputs must be real numbers"),
        (lambda z: z.no_such, "it raised AttributeError: 'Tensor' object has no attribute"),
    ],
)
def test_outputs_that_mean_nothing_are_refused_in_words(how, text):
    with pytest.raises((InvalidInput, UnsupportedModel), match=text):
        audit_finished(Changed(how), *halves(), **QUICK)


@pytest.mark.parametrize("how", [lambda z: z.argmax(1), lambda z: z[:, 0] > 0, lambda z: z.double()])
def test_outputs_of_any_real_type_are_read(how):
    assert audit_finished(Changed(how), *halves(), **QUICK).rows[0].metrics["loss"].value > 0


@pytest.mark.parametrize("kind", [WritesWeights, WritesData, WritesArray, WritesView])
def test_a_model_that_writes_its_weights_is_named_and_left_as_it_was(kind):
    model = kind(None)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(UnsupportedModel, match="must not change its own weights .* writes 'net.weight'"):
        audit_finished(model, *halves(), **QUICK)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_model_that_puts_other_weights_in_place_of_its_own_is_named():
    class Adds(nn.Linear):
        def forward(self, x):
            with torch.no_grad():
                self.bias += 0.1
            return super().forward(x)

    model = Adds(6, 2)
    before = model.bias.clone()
    with pytest.raises(UnsupportedModel, match="must not change its own weights .* writes 'bias'"):
        audit_finished(model, *halves(), **QUICK)
    assert torch.equal(model.bias, before)


def test_a_model_that_is_lent_runs_without_a_copy_and_is_named_if_it_writes():
    parts = [read_records(part, name=name) for part, name in zip(halves(), ("members", "nonmembers"), strict=True)]
    for kind in (WritesWeights, WritesData, WritesArray, WritesView):
        with pytest.raises(UnsupportedModel, match="must not change its own weights.*'net.weight'"):
            run_first(ModuleModel(kind(None)), *parts, lent=True)
    model = ModuleModel(Changed(lambda z: z))
    assert torch.equal(run_first(model, *parts, lent=True)[2], run_first(model, *parts)[2])


def test_a_file_whose_model_writes_its_weights_later_is_refused(tmp_path, monkeypatch):
    runs.clear()
    monkeypatch.chdir(tmp_path)
    model = WritesLate(None)
    save_file(model.state_dict(), tmp_path / "m.safetensors")
    runs.clear()
    with pytest.raises(UnsupportedModel, match=r"must not change its own weights.*'net.bias'|random in evaluation"):
        audit_finished(tmp_path / "m.safetensors", *halves(), model=lambda: model, **QUICK)


def test_a_model_that_writes_its_inputs_is_named_and_they_are_left_as_they_were():
    inside, outside = halves()
    x = torch.tensor(inside[0])
    with pytest.raises(UnsupportedModel, match="must leave its inputs as they are"):
        audit_finished(WritesInputs(None), (x, inside[1]), outside, **QUICK)
    assert np.array_equal(x.numpy(), inside[0])


def test_a_shipped_model_that_writes_its_inputs_changes_no_other_row():
    model, data = Changed(lambda z: z), halves()
    model = nn.Sequential(model)
    writes = WritesInputs(None)
    result = audit_finished(model, *data, shipped={"a": writes, "b": copy.deepcopy(model)}, **QUICK)
    full, _, _, same = (row.metrics["loss"].value for row in result.rows)
    assert same == pytest.approx(full)


def test_records_unlike_the_first_are_named():
    inside, (x, y) = halves()
    with pytest.raises(
        InvalidInput, match=r"On batch 1 of the nonmembers \(float32 \(60, 5\)\) it raised RuntimeError"
    ):
        audit_finished(Changed(lambda z: z), inside, (x[:, :5], y), **QUICK)
    with pytest.raises(InvalidInput, match="members: the records must be readable. Reading them raised ZeroDivision"):
        audit_finished(Changed(lambda z: z), (1 / 0 for _ in range(3)), (x, y), **QUICK)


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("loss", 5, "or a function of .outputs, targets.. Found a int"),
        ("loss", lambda out, y: out[y[:1] * 99], "it raised IndexError"),
        ("loss", lambda out, y: out[:, 0] * torch.nan * y, "every record's loss must be finite. <lambda> gives nan"),
        ("shipped", 5, "shipped must map names to models"),
        ("shipped", "x", "shipped must read name=file"),
        ("checkpoints", 5, "checkpoints must be those of a recorder"),
        ("progress", 5, "progress must be a function"),
        ("quantizers", (5,), "each must be a specification or an object with one, and one is a int"),
    ],
)
def test_options_of_another_kind_are_refused(option, value, text):
    with pytest.raises(InvalidInput, match=text):
        audit_finished(Changed(lambda z: z), *halves(), **{**QUICK, option: value})


def test_what_is_wrong_beside_the_type_of_numbers_is_said(rng):
    """Records of 64 bits are also tried in the model's 32; if that fails too, its error says why."""
    model = nn.Linear(4, 2)
    inside, outside = ((rng.normal(size=(24, 3)), rng.integers(0, 2, 24)) for _ in range(2))
    with pytest.raises(InvalidInput, match=r"float64 \(24, 3\)\) it raised RuntimeError: mat1 and mat2 shapes"):
        audit_finished(model, inside, outside, quantizers=("sign",))


def test_records_that_lack_a_part_the_model_reads_are_told_so():
    """As batches of chemprop's whose data set holds no extra descriptors."""

    class Batch(NamedTuple):
        bmg: torch.Tensor
        x_d: torch.Tensor | None
        y: torch.Tensor

    class Joined(nn.Module):
        def __init__(self):
            super().__init__()
            self.end = nn.Linear(5, 1)

        def forward(self, graphs, extra=None):
            return self.end(graphs if extra is None else torch.cat([graphs, extra], dim=1))

    batches = [Batch(torch.randn(30, 3), extra, torch.randn(30)) for extra in (torch.randn(30, 2), None)]
    assert audit_finished(Joined(), batches[:1], batches[:1], quantizers=(), overlap="keep").rows
    with pytest.raises(InvalidInput, match="Some inputs are None: a network that reads extra descriptors .V_d and X_d"):
        audit_finished(Joined(), batches[1:], batches[1:], quantizers=())


def test_a_buffer_that_forward_writes_is_put_back_in_every_row():
    class Counts(Changed):
        def __init__(self, how):
            super().__init__(how)
            self.register_buffer("seen", torch.zeros(()))

        def forward(self, x):
            self.seen += 1
            self.seen.data *= 2
            return super().forward(x)

    model = Counts(lambda z: z)
    plain = audit_finished(Changed(lambda z: z), *halves(), **QUICK)
    found = audit_finished(model, *halves(), **QUICK)
    assert model.seen == 0
    assert [row.metrics["loss"] for row in found.rows] == [row.metrics["loss"] for row in plain.rows]


@pytest.mark.filterwarnings("ignore")
def test_a_frozen_program_is_run():
    program = torch.jit.freeze(torch.jit.script(nn.Linear(6, 2).eval()))
    assert audit_finished(program, *halves(), draws=20).rows[0].metrics["loss"].value > 0


class AlwaysTraining(nn.Module):
    """A network whose batch normalisation does not follow `eval()`."""

    def __init__(self):
        super().__init__()
        self.norm, self.out = nn.BatchNorm1d(8), nn.Linear(8, 2)

    def train(self, mode: bool = True):
        super().train(mode)
        self.norm.train()
        return self

    def forward(self, x):
        return self.out(self.norm(x))


def test_a_model_that_cannot_run_on_one_record_is_told_why(rng):
    x, y = rng.normal(size=(40, 8)).astype(np.float32), np.arange(40) % 2
    with pytest.raises(UnsupportedModel, match="on one by itself it raised ValueError"):
        leaq.audit(AlwaysTraining(), members=(x[:20], y[:20]), nonmembers=(x[20:], y[20:]), quantizers="none")


class Squeezing(nn.Linear):
    """A layer whose outputs lose every axis of one."""

    def forward(self, x):
        return super().forward(x).squeeze()


def test_a_record_by_itself_must_keep_its_row(rng):
    x, y = rng.normal(size=(40, 8)).astype(np.float32), np.arange(40) % 2
    given = {"members": (x[:20], y[:20]), "nonmembers": (x[20:], y[20:]), "quantizers": "none"}
    with pytest.raises(InvalidInput, match=r"For 1 records it returned shape \(2,\)"):
        leaq.audit(Squeezing(8, 2), **given)
    assert leaq.audit(Squeezing(8, 1), **given).config["loss"] == "binary"


def test_members_and_nonmembers_may_be_of_other_types_than_each_other(rng):
    """The model ran on the members as they are; non-members of a file that keeps 64 bits are given to it alike."""
    model, x, y = nn.Linear(3, 2), rng.integers(0, 99999, size=(80, 3)), rng.integers(0, 2, 80)
    found = set()
    for one, other in (("f4", "f4"), ("f4", "f8"), ("f4", "i8"), ("f8", "f4"), ("i8", "f8")):
        both = (x[:40].astype(one), y[:40]), (x[40:].astype(other), y[40:])
        found.add(audit_finished(model, *both, **QUICK).rows[0].metrics["loss"].value)
    assert len(found) == 1


class Returning(nn.Module):
    def __init__(self, form):
        super().__init__()
        self.hidden, self.out, self.form = nn.Linear(6, 4), nn.Linear(4, 2), form

    def forward(self, x):
        hidden = self.hidden(x)
        return self.form(hidden, self.out(hidden))


@pytest.mark.parametrize(("form", "said"), [
    (lambda hidden, out: (hidden, out), "2 results a record, of shapes (4,), (2,): the first is read"),
    (lambda _, out: [out[:, :1], out[:, 1:]], "2 results a record, of shapes (1,), (1,)"),
    (lambda _, out: (out,), ""),
    (lambda hidden, out: {"hidden": hidden, "logits": out}, ""),
])  # fmt: skip
def test_results_beside_the_one_that_is_read_are_said(form, said):
    flags = audit_finished(Returning(form).eval(), *halves(), draws=20).flags
    texts = [flag.text for flag in flags if flag.code == "first-of-several"]
    assert len(texts) == bool(said)
    assert all(said in text for text in texts)


@pytest.mark.filterwarnings("ignore:Sparse CSR")
@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr"])
def test_sparse_weights_are_named_with_the_way_out(layout):
    class Sparse(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.weight = nn.Linear(6, 2), nn.Parameter(getattr(torch.eye(6), layout)())

        def forward(self, x):
            return self.net(torch.sparse.mm(self.weight, x.T).T)

    members, others = halves(d=6)
    with pytest.raises(UnsupportedModel, match=r"'weight' is in the layout torch.sparse_.*weight.to_dense\(\)"):
        audit_finished(Sparse(), members, others, quantizers=())
