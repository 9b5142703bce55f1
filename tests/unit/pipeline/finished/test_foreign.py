"""Models that run as they are beside their original, in whatever form and precision their outputs come."""

import copy

import pytest
import torch
from torch import nn

from leaq.errors import InvalidInput, UnsupportedModel
from leaq.evaluation.losses import choose_loss
from leaq.pipeline.finished.foreign import in_form_of
from tests.unit.pipeline.finished.models import audit_finished, halves, overfitted

QUICK = {"quantizers": (), "draws": 40}


@pytest.fixture(scope="module")
def data():
    return halves(d=32)


@pytest.fixture(scope="module")
def model(data):
    return overfitted(*data[0])


def rows_of(model, data, **shipped):
    return {row.label: row for row in audit_finished(model, *data, shipped=shipped, **QUICK).rows}


class Ending(nn.Module):
    """A model with something behind it."""

    def __init__(self, model, end):
        super().__init__()
        self.model, self.end = copy.deepcopy(model), end

    def forward(self, x):
        return self.end(self.model(x))


def test_probabilities_beside_an_original_that_gives_logits_are_recognised(model, data):
    rows = rows_of(
        model, data, soft=Ending(model, lambda z: z.softmax(1)), log=Ending(model, lambda z: z.log_softmax(1))
    )
    full = rows["full precision"].metrics["loss"].value
    assert rows["soft"].metrics["loss"].value == pytest.approx(full, rel=1e-3)
    assert rows["log"].metrics["loss"].value == pytest.approx(full, rel=1e-5)
    assert [flag.code for flag in rows["soft"].flags] == ["not-quantized", "probabilities", "no-skill"]


def test_rounded_probabilities_and_other_logarithms_beside_logits_are_recognised():
    logits = 3 * torch.randn(50, 12)
    loss = choose_loss("auto", logits, torch.arange(50) % 12)
    for shipped in ((logits.softmax(1) * 256).round() / 256, logits.log_softmax(1) / torch.tensor(10.0).log()):
        run, flags = in_form_of(lambda _, given=shipped: given, None, logits, loss=loss, name="q")
        assert [flag.code for flag in flags] == ["probabilities"]
        assert float((run(None).softmax(1) - logits.softmax(1)).abs().max()) < 0.05
    run, flags = in_form_of(lambda _: logits / 2, None, logits, loss=loss, name="q")
    assert not flags


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (lambda z: torch.cat([z, z], 1), "as many outputs as its original. Found 4 a record beside 2"),
        (lambda z: z.argmax(1), "Found 1 a record beside 2: it is another model, or returns decisions"),
        (lambda z: z * torch.nan, "x: outputs must be finite"),
        (lambda z: z[1:], "one row of outputs a record. For 60 records it returned shape"),
        (lambda z: z + torch.randn_like(z), "x must give the same outputs for the same inputs"),
    ],
)
def test_what_is_no_form_of_the_original_is_refused(model, data, end, text):
    with pytest.raises((InvalidInput, UnsupportedModel), match=text):
        rows_of(model, data, x=Ending(model, end))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_run_as_they_are(model, data, dtype):
    row = rows_of(model, data, x=copy.deepcopy(model).to(dtype))["x"]
    assert row.size.bits == 8 * dtype.itemsize
    assert [flag.code for flag in row.flags] == ["own-precision", "no-skill"]


class Scaled(nn.Sequential):
    """A released model with its inputs' scaling inside."""

    def forward(self, x):
        return super().forward(2 * x)


def test_the_originals_weights_in_another_program_are_told(model, data):
    rows = rows_of(model, data, same=copy.deepcopy(model), scaled=Scaled(*copy.deepcopy(model)))
    assert "other-program" not in [flag.code for flag in rows["same"].flags]
    assert [flag.code for flag in rows["scaled"].flags][:2] == ["not-quantized", "other-program"]


class Wrapped(nn.Module):
    """A released model inside another module, which orders its outputs in another way."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x).flip(1)


def exported(module, dtype=torch.float32):
    free = ({0: torch.export.Dim("n")},)
    return torch.export.export(module, (torch.randn(5, 32, dtype=dtype),), dynamic_shapes=free)


@pytest.mark.filterwarnings("ignore")
def test_what_a_program_does_around_weights_of_its_own_is_told(model, data):
    halved = copy.deepcopy(model).bfloat16().float()
    rows = rows_of(model, data, swapped=Wrapped(model), program=exported(Wrapped(halved)), same=exported(halved))
    assert [flag.code for flag in rows["swapped"].flags][:2] == ["not-quantized", "other-program"]
    assert [flag.code for flag in rows["program"].flags][:2] == ["stored-as-floats", "other-program"]
    assert "other-program" not in [flag.code for flag in rows["same"].flags]


@pytest.mark.filterwarnings("ignore")
def test_programs_in_training_mode_are_refused(data):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(32, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2)).eval()
    with pytest.raises(UnsupportedModel, match=r"x: outputs for a record must be its own.*after model.eval\(\)"):
        rows_of(net, data, x=exported(copy.deepcopy(net).train()))
