import pytest
import torch
from torch import nn

from leaq.auditing.losses import checked, choose_loss
from leaq.errors import InvalidInput, UnknownName


@pytest.mark.parametrize(("outputs", "targets", "kind"), [
    (torch.zeros(4, 3), torch.tensor([0, 1, 2, 0]), "classes"),
    (torch.zeros(4, 1), torch.tensor([0, 1, 1, 0]), "binary"),
    (torch.zeros(4), torch.tensor([0.0, 1, 1, 0]), "binary"),
    (torch.zeros(4, 1), torch.tensor([0.5, 1, 2, 0]), "values"),
    (torch.zeros(4, 2), torch.rand(4, 2), "values"),
])  # fmt: skip
def test_auto_follows_outputs_and_targets(outputs, targets, kind):
    assert choose_loss("auto", outputs, targets).kind == kind


def test_a_single_logit_is_a_class_of_two():
    z, y = torch.randn(5, 1), torch.tensor([0, 1, 1, 0, 1])
    found = choose_loss("binary", z, y).function(z, y)
    wanted = nn.functional.binary_cross_entropy_with_logits(z[:, 0].double(), y.double(), reduction="none")
    torch.testing.assert_close(found, wanted)


def test_squared_errors_are_in_units_of_the_spread():
    out, y = torch.tensor([[1.0], [4.0]]), torch.tensor([3.0, 4.0])
    assert choose_loss("squared_error", out, y, scale=2.0).function(out, y).tolist() == [1.0, 0.0]


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
