import numpy as np
import pytest
import torch
from torch import nn

from leaq.data.tables import from_arrays
from leaq.errors import InvalidInput, UnsupportedModel
from leaq.models import checkpoints_of
from leaq.pipeline.subjects.outputs import as_stacked_model, refuse_unfit

ROWS = np.random.default_rng(0).normal(size=(30, 4))
TWO, THREE, VALUES = (
    from_arrays(ROWS, np.arange(30) % 2),
    from_arrays(ROWS, np.arange(30) % 3),
    from_arrays(ROWS, ROWS[:, 0] * 3.7),
)


def outputs(module, samples):
    model, x = as_stacked_model(module, samples), torch.tensor(samples.inputs[:5], dtype=torch.float32)
    return model.forward(checkpoints_of(module).params, x)[0]


def test_logits_and_values_are_taken_as_they_are():
    net = nn.Linear(4, 3)
    x = torch.tensor(ROWS[:5], dtype=torch.float32)
    torch.testing.assert_close(outputs(net, THREE), net(x))
    value = nn.Linear(4, 1)
    torch.testing.assert_close(outputs(value, VALUES), value(x))


def test_several_outputs_for_one_value_are_refused_with_the_way_out():
    with pytest.raises(InvalidInput, match="Found 2. Return the prediction alone, such as the mean"):
        as_stacked_model(nn.Linear(4, 2), VALUES)


def test_probabilities_are_read_as_logits_that_give_them():
    net = nn.Sequential(nn.Linear(4, 3), nn.Softmax(-1))
    x = torch.tensor(ROWS[:5], dtype=torch.float32)
    torch.testing.assert_close(outputs(net, THREE).softmax(-1).float(), net(x))
    with pytest.raises(InvalidInput, match="must return logits. Found probabilities"):
        refuse_unfit(net, THREE)
    refuse_unfit(net[:1], THREE)


def test_one_output_of_two_classes_becomes_two():
    net = nn.Linear(4, 1)
    found = outputs(net, TWO)
    assert found.shape == (5, 2)
    x = torch.tensor(ROWS[:5], dtype=torch.float32)
    torch.testing.assert_close(found[:, 1] - found[:, 0], net(x)[:, 0])


@pytest.mark.parametrize(
    ("module", "samples", "message"),
    [
        (nn.Linear(4, 2), THREE, "one output a class, 3. Found 2"),
        (nn.Linear(4, 2), VALUES, "must return one output. Found 2"),
        (nn.Linear(5, 2), TWO, r"must run on the records, shape \(30, 4\), and on one by itself. It failed with Runt"),
    ],
)
def test_what_does_not_fit_the_records_is_refused(module, samples, message):
    with pytest.raises(InvalidInput, match=message):
        as_stacked_model(module, samples)


class Doing(nn.Module):
    def __init__(self, before):
        super().__init__()
        self.layer, self.before = nn.Linear(4, 2), before

    def forward(self, x):
        return self.layer(self.before(x))


@pytest.mark.parametrize(("before", "message"), [
    (lambda x: nn.functional.dropout(x, 0.3), "random in evaluation mode"),
    (lambda x: x - x.mean(0), "must not depend on the others in its batch"),
])  # fmt: skip
@pytest.mark.parametrize("check", [as_stacked_model, refuse_unfit])
def test_outputs_that_are_drawn_or_the_batchs_are_refused(before, message, check):
    with pytest.raises(UnsupportedModel, match=message):
        check(Doing(before), TWO)
    with pytest.raises(InvalidInput, match="outputs must be finite"):
        check(Doing(lambda x: x / 0), TWO)
