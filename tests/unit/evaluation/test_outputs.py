"""Logits and probabilities, told apart by what the model did last and by the numbers."""

import pytest
import torch
from torch import nn

from leaq.errors import InvalidInput
from leaq.evaluation.outputs import last_operation, read_mixed, read_outputs
from leaq.types.tasks import Layout, TaskSpec
from tests.unit.pipeline.finished.models import audit_finished, noisy, overfitted

QUICK = {"quantizers": ("sign",), "draws": 20, "neighbours": 4}


class Squashed(nn.Module):
    """The same network with its probabilities computed in forward; `how` says by which operations."""

    def __init__(self, net, how):
        super().__init__()
        self.net, self.how = net, how

    def forward(self, x):
        return self.how(self.net(x))


def test_the_last_operation_is_seen_through_reshaping():
    net, x = nn.Linear(3, 2), torch.randn(4, 3)
    assert last_operation(lambda: net(x)) == "Addmm"
    assert last_operation(lambda: net(x).softmax(1)[:, 1].unsqueeze(1)) == "Softmax"
    assert last_operation(lambda: nn.Sequential(net, nn.Sigmoid())(x)) == "Sigmoid"
    assert last_operation(lambda: torch.zeros(3)) == ""


def test_a_mixture_of_probabilities_is_one_and_a_sum_with_scores_is_none():
    net, other, x = nn.Linear(3, 2), nn.Linear(3, 2), torch.randn(4, 3)
    assert last_operation(lambda: 0.3 * net(x).sigmoid() + 0.7 * other(x).sigmoid()) == "Sigmoid"
    assert last_operation(lambda: 0.9 * net(x).softmax(1) + 0.05) == "Softmax"
    assert last_operation(lambda: torch.cat([1 - net(x).sigmoid(), net(x).sigmoid()], 1)) == "Sigmoid"
    assert last_operation(lambda: 0.5 * net(x).tanh() + 0.5) == "Tanh"
    assert last_operation(lambda: net(x) + other(x).sigmoid()) == "Add"
    assert last_operation(lambda: net(x) * other(x).sigmoid()) == "Mul"


def test_the_logarithm_of_a_probability_is_no_odds():
    net, x = nn.Linear(3, 1), torch.randn(4, 3)
    for how in (torch.log, torch.log10, torch.log2):
        assert last_operation(lambda how=how: how(net(x).sigmoid() + 1e-9)) == "LogSigmoid"
        assert last_operation(lambda how=how: how(net(x).sigmoid().clamp(1e-6, 1))) == "LogSigmoid"
    assert last_operation((net(x).sigmoid() / (1 - net(x).sigmoid())).log) == "Log"
    assert last_operation(lambda: net(x).exp().log()) == "Log"


@pytest.mark.parametrize("factor", [1 / torch.log(torch.tensor(10.0)), 1 / torch.log(torch.tensor(2.0)), -1.0])
def test_logarithms_to_other_bases_and_negative_ones_are_natural_ones_after(factor):
    logits = torch.randn(40, 3)
    given = logits.log_softmax(1) * factor
    reads, flags = read_outputs("classes", given, "")
    torch.testing.assert_close(reads(given), logits.log_softmax(1), rtol=1e-4, atol=1e-4)
    assert [flag.code for flag in flags] == ["probabilities"]
    assert read_outputs("classes", given, "Addmm")[0](given) is given  # a linear layer gives no logarithms


def test_probabilities_rounded_to_steps_are_read_and_their_ends_stand_at_half_a_step():
    exact = (3 * torch.randn(60, 12)).softmax(1)
    for step in (0.01, 0.001, 1 / 256):
        rounded = (exact / step).round() * step
        assert float((rounded.sum(1) - 1).abs().max()) > 1e-3  # refused, or taken for logits, by their sums alone
        reads, flags = read_outputs("soft", rounded, "")
        assert float(reads(rounded).min().exp()) == pytest.approx(step / 2, rel=0.01)
        assert f"rounded to steps of {step:.3g}" in flags[0].text
    reads, _ = read_outputs("binary", torch.tensor([[0.0], [1.0], [0.37], [0.38]]), "Sigmoid")
    assert reads(torch.tensor([[0.0], [1.0]])).flatten().tolist() == pytest.approx([-5.293, 5.293], abs=1e-3)
    with pytest.raises(InvalidInput, match="loss='binary' with a column"):
        read_outputs("classes", torch.tensor([[0.45, 0.55], [0.9, 0.11]]).double(), "Sigmoid")


@pytest.mark.parametrize(
    "how", [lambda z: z.softmax(-1), lambda z: z.log_softmax(-1).exp(), lambda z: z.log_softmax(-1)]
)
@pytest.mark.parametrize("loss", ["auto", "cross_entropy"])
def test_probabilities_of_classes_give_the_numbers_of_their_logits(how, loss):
    x, y = noisy()
    net = overfitted(x[:60], y[:60])
    parts = (x[:60], y[:60]), (x[60:], y[60:])
    plain, squashed = (audit_finished(model, *parts, loss=loss, **QUICK) for model in (net, Squashed(net, how).eval()))
    for row, other in zip(plain.rows, squashed.rows, strict=True):
        assert other.metrics["loss"].value == pytest.approx(row.metrics["loss"].value, rel=1e-4)
        assert other.metrics["accuracy"].value == row.metrics["accuracy"].value
        assert other.attacks["threshold"].advantage.value == pytest.approx(
            row.attacks["threshold"].advantage.value, abs=0.02
        )


@pytest.mark.parametrize(
    "how",
    [
        torch.sigmoid,
        lambda z: torch.stack([z, z]).sigmoid().mean(0),
        lambda z: z.sigmoid()[:, 0],
        lambda z: 0.3 * z.sigmoid() + 0.7 * z.sigmoid(),
        lambda z: (1 + (z / 2).tanh()) / 2,
    ],
    ids=["sigmoid", "ensemble", "squeezed", "weighted", "tanh"],
)
def test_probabilities_of_one_class_too(how):
    x, y = noisy()
    two = overfitted(x[:60], y[:60])
    one = nn.Sequential(*list(two)[:2], nn.Linear(48, 1))
    with torch.no_grad():
        for parameter in two[2].parameters():
            parameter.mul_(0.4)  # or probabilities round to 1, which no logarithm undoes
        one[2].weight.copy_(two[2].weight[1:] - two[2].weight[:1])
        one[2].bias.copy_(two[2].bias[1:] - two[2].bias[:1])
    parts = (x[:60], y[:60]), (x[60:], y[60:])
    row = audit_finished(two, *parts, **QUICK).rows[0]
    result = audit_finished(Squashed(one, how).eval(), *parts, **QUICK)
    assert result.rows[0].metrics["accuracy"].value == row.metrics["accuracy"].value
    assert result.rows[0].metrics["loss"].value == pytest.approx(row.metrics["loss"].value, rel=1e-3)
    assert "probabilities" in {flag.code for flag in result.flags}


@pytest.mark.parametrize(("kind", "outputs", "last", "found"), [
    ("binary", [[0.2], [0.6]], "Addmm", "same"),
    ("binary", [[0.2], [1.6]], "Mean", "same"),
    ("binary", [[0.0], [0.0]], "", "same"),
    ("binary", [[0.2], [0.6]], "Mean", "which may be either"),
    ("classes", [[0.2, 0.3], [0.1, 0.2]], "Addmm", "same"),
    ("classes", [[0.2, 0.3], [0.1, 0.9]], "Sigmoid", "2 outputs in .0, 1. with other sums"),
    ("values", [[0.2], [0.8]], "Sigmoid", "same"),
])  # fmt: skip
def test_what_may_be_either_is_refused(kind, outputs, last, found):
    outputs = torch.tensor(outputs)
    if found == "same":
        assert read_outputs(kind, outputs, last)[0](outputs) is outputs
        return
    with pytest.raises(InvalidInput, match=found):
        read_outputs(kind, outputs, last)


def test_rounded_probabilities_are_counted_and_finite():
    outputs = torch.tensor([[0.0], [1.0], [0.123456]])
    read, flags = read_outputs("binary", outputs, "Sigmoid")
    assert torch.isfinite(read(outputs)).all()
    assert "2 of the first 3 are rounded to 0 or 1" in flags[0].text
    with pytest.raises(InvalidInput, match="original gives probabilities, but here they run from"):
        read(torch.tensor([[3.0]]))


@pytest.mark.parametrize(
    ("how", "text"),
    [
        (lambda z: nn.functional.logsigmoid(z[:, 0]), "ends in LogSigmoid, the logarithm of one probability"),
        (lambda z: z[:, 0].sigmoid().log10(), "ends in LogSigmoid, the logarithm of one probability"),
        (lambda z: z.log_softmax(1)[:, 1], "ends in LogSoftmax, the logarithm of one probability"),
        (lambda z: 100 * z.softmax(1), "sum to 100 for every record"),
        (lambda z: z[:, :1].tanh(), "ends in Tanh, which gives neither"),
    ],
)
def test_scores_logarithms_of_one_probability_and_shares_of_a_hundred_are_refused(how, text):
    x, y = noisy()
    with pytest.raises(InvalidInput, match=text):
        audit_finished(Squashed(nn.Linear(6, 2), how), (x[:60], y[:60]), (x[60:], y[60:]), **QUICK)


def test_of_several_targets_each_is_read_alone():
    layout = Layout(
        (
            TaskSpec("toxic", "classification", ("0", "1")),
            TaskSpec("logS", "regression"),
            TaskSpec("phase", "classification", ("0", "1", "2")),
        )
    )
    logits, values = torch.randn(40, 4), torch.randn(40, 1) * 9
    shares = torch.cat([logits[:, :1].sigmoid(), values, logits[:, 1:].softmax(1)], dim=1)
    reads, flags = read_mixed(layout, shares, "")
    found = reads(shares)
    torch.testing.assert_close(found[:, 0], logits[:, 0].double(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[:, 1], values[:, 0].double())
    torch.testing.assert_close(found[:, 2:].softmax(1), logits[:, 1:].double().softmax(1), rtol=1e-4, atol=1e-5)
    assert {flag.code for flag in flags} == {"probabilities"}
    plain = torch.cat([logits[:, :1], values, logits[:, 1:]], dim=1)
    reads, flags = read_mixed(layout, plain, "")
    torch.testing.assert_close(reads(plain), plain.double())
    assert not flags
