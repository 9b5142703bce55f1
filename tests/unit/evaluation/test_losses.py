import pytest
import torch
from torch import nn

from leaq.errors import InvalidInput, UnknownName
from leaq.evaluation.losses import checked, choose_loss


def test_a_single_logit_is_a_class_of_two():
    z, y = torch.randn(5, 1), torch.tensor([0, 1, 1, 0, 1])
    loss = choose_loss("binary", z, y)
    wanted = nn.functional.binary_cross_entropy_with_logits(z[:, 0].double(), y.double(), reduction="none")
    torch.testing.assert_close(loss.function(z, loss.targets(y)), wanted)
    assert loss.predictions(z).tolist() == [[0.0, value] for value in z[:, 0].tolist()]


def test_outputs_of_classes_that_no_record_has_are_doubted():
    labels = torch.tensor([0, 1, 1, 0])
    (flag,) = choose_loss("auto", torch.randn(4, 8), labels).flags  # what a tuple holds before its logits, say
    assert (flag.code, flag.text[:34]) == ("classes-unseen", "6 of 8 outputs are of classes with")
    assert not choose_loss("auto", torch.randn(4, 4), labels).flags


@pytest.mark.parametrize("shape", [(6, 1, 3), (6, 3, 1), (6, 3, 1, 1)])
@pytest.mark.parametrize("targets", [torch.arange(6) % 3, torch.full((6, 3), 1 / 3)])
def test_axes_of_length_one_beside_the_classes_change_nothing(shape, targets):
    logits = torch.randn(6, 3)
    plain, wide = (choose_loss("auto", outputs, targets) for outputs in (logits, logits.reshape(shape)))
    given = plain.targets(targets)
    torch.testing.assert_close(wide.function(logits.reshape(shape), given), plain.function(logits, given))
    torch.testing.assert_close(wide.predictions(logits.reshape(shape)), logits)


def test_squared_errors_are_in_units_of_each_targets_spread():
    out, y = torch.tensor([[1.0, 0.0], [4.0, 30.0]]), torch.tensor([[3.0, 10.0], [5.0, float("nan")]])
    loss = choose_loss("squared_error", out, y)
    assert loss.scale == (1.0, 1.0)  # what varies in one record alone has no spread
    assert loss.function(out, loss.targets(y)).tolist() == [(4 + 100) / 2, 1.0]
    loss = choose_loss("squared_error", out[:, :1], torch.tensor([9.0, 15.0]))
    assert loss.scale == (3.0,)
    assert loss.function(out[:, :1], torch.tensor([[9.0], [15.0]])).tolist() == pytest.approx([64 / 9, 121 / 9])


def test_several_tasks_average_over_the_labels_a_record_has(rng):
    z, y = torch.randn(6, 3), torch.randint(2, (6, 3)).double()
    y[:2, 0], y[4, 1:] = 1.0, float("nan")
    y[0] = torch.tensor([1.0, 1.0, 0.0])
    loss = choose_loss("auto", z, y)
    each = nn.functional.binary_cross_entropy_with_logits(z.double(), y.nan_to_num(), reduction="none")
    torch.testing.assert_close(loss.function(z, loss.targets(y)), each.masked_fill(y.isnan(), torch.nan).nanmean(1))
    assert (loss.kind, loss.name, loss.labels(y)) == ("tasks", "binary", None)
    assert {flag.code for flag in loss.flags} == {"loss-chosen", "missing-labels"}


def test_soft_labels_are_compared_with_all_classes():
    z, y = torch.randn(5, 3), torch.softmax(torch.randn(5, 3), 1)
    loss = choose_loss("auto", z, y)
    torch.testing.assert_close(
        loss.function(z, loss.targets(y)), nn.functional.cross_entropy(z.double(), y.double(), reduction="none"),
        atol=1e-6, rtol=1e-6,
    )  # fmt: skip
    assert loss.labels(loss.targets(y)).tolist() == y.argmax(1).tolist()


@pytest.mark.parametrize("form", ["side by side", "last axis", "logarithm"])
def test_a_mean_with_its_variance_has_a_gaussian_likelihood(form):
    mean, variance, y = torch.randn(6, 2), torch.rand(6, 2) + 0.1, torch.randn(6, 2)
    wanted = nn.functional.gaussian_nll_loss(mean, y, variance, full=True, reduction="none").double()
    spread = y.double().std(0, correction=0)
    wanted = (wanted + 0.0 - spread.log()).mean(1)  # densities in units of each target's spread
    outputs = torch.cat([mean, variance.log() if form == "logarithm" else variance], 1)
    outputs = torch.stack([mean, variance], -1) if form == "last axis" else outputs
    loss = choose_loss("gaussian_log" if form == "logarithm" else "gaussian", outputs, y)
    torch.testing.assert_close(loss.function(outputs, loss.targets(y)), wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(loss.predictions(outputs).float(), mean)


def test_negative_variances_are_named():
    with pytest.raises(InvalidInput, match="needs variances of at least 0. Found -1.*loss='gaussian_log'"):
        choose_loss("gaussian", torch.tensor([[0.0, -1.0]]), torch.tensor([0.5]))


def test_a_loss_object_that_averages_is_explained():
    with pytest.raises(InvalidInput, match=r"CrossEntropyLoss returns their mean. Build it with reduction='none'"):
        choose_loss(nn.CrossEntropyLoss(), torch.zeros(2, 2), torch.tensor([0, 1]))


def test_a_mean_is_detected_and_explained():
    with pytest.raises(InvalidInput, match=r"one value per record, shape \(5,\). Found a single number, .* a mean"):
        checked(torch.tensor(0.3), 5, "own")
    with pytest.raises(InvalidInput, match=r"Found shape \(5, 2\). Average over everything but the records"):
        checked(torch.zeros(5, 2), 5, "own")


def test_unknown_names_and_sequences_are_refused():
    with pytest.raises(UnknownName, match="Unknown loss 'cross-entropy'.*Did you mean 'cross_entropy'"):
        choose_loss("cross-entropy", torch.zeros(2, 2), torch.tensor([0, 1]))
    with pytest.raises(InvalidInput, match=r"needs outputs \(records, classes\). Found shape \(2, 3, 4\)"):
        choose_loss("cross_entropy", torch.zeros(2, 3, 4), torch.tensor([0, 1]))
