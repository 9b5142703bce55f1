"""The same labels in every form people keep them in, and what is refused instead of broadcast."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from leaq.errors import InvalidInput
from leaq.evaluation.labels import read_labels
from leaq.types import NotComputed
from tests.unit.pipeline.finished.models import audit_finished, noisy, overfitted

QUICK = {"quantizers": ("sign",), "draws": 20, "neighbours": 4}
ONE, TWO, THREE = torch.randn(6, 1), torch.randn(6, 2), torch.randn(6, 3)
CODES = torch.tensor([0, 1, 1, 0, 1, 0])
NAN = float("nan")


@pytest.mark.parametrize(("outputs", "targets", "kind"), [
    (THREE, torch.tensor([0, 1, 2, 0, 1, 2]), "classes"),
    (TWO, CODES.float(), "classes"),
    (TWO, CODES[:, None], "classes"),
    (TWO, CODES[:, None].double(), "classes"),
    (TWO, CODES.bool(), "classes"),
    (TWO, torch.eye(2)[CODES], "classes"),
    (TWO, torch.eye(2, dtype=torch.int64)[CODES], "classes"),
    (TWO, torch.eye(2)[CODES] * 0.8 + 0.1, "soft"),
    (ONE, CODES, "binary"),
    (ONE[:, 0], CODES.float(), "binary"),
    (ONE, CODES[:, None], "binary"),
    (ONE, torch.tensor([0.5, 1, 2, 0, 3, 1]), "values"),
    (ONE, torch.tensor([0, 7, 49, 3, 2, 1]), "values"),
    (THREE, torch.tensor([[1, 1, 0]] * 6), "tasks"),
    (THREE, torch.tensor([[1.0, NAN, 0]] * 6), "tasks"),
    (TWO, torch.randn(6, 2), "values"),
    (torch.randn(6, 2, 3), torch.randn(6, 2, 3), "values"),
])  # fmt: skip
def test_auto_follows_outputs_and_targets(outputs, targets, kind):
    assert read_labels("auto", outputs, targets).kind == kind


@pytest.mark.parametrize(("loss", "outputs", "targets", "message"), [
    ("auto", TWO, torch.randn(6), r"Found 2 outputs and 1 target a record .*loss='gaussian'"),
    ("auto", TWO, torch.randn(6, 3), "Found 2 outputs and 3 targets a record"),
    ("auto", TWO, torch.randn(6, 3), "Of several targets: a logit of two classes, one a class of more"),
    ("auto", ONE, torch.eye(2)[CODES], "Found 1 output and 2 targets a record .* Give one number a record"),
    ("auto", THREE, torch.arange(6), "class codes 0..2, one for each output of the model. Found 0..5"),
    ("auto", THREE, torch.arange(6).float(), r"class codes 0..2 or 3 numbers a record"),
    ("auto", ONE, CODES * 2 - 1, "labels -1 and 1 may be two classes"),
    ("auto", THREE, torch.tensor([[1, -1, 0]] * 6), "holes to NaN"),
    ("squared_error", TWO, CODES.float(), "Found 2 outputs and 1 target"),
    ("binary", TWO, CODES, "Found 2 outputs and 1 target"),
    ("binary", ONE, torch.arange(6), "must be 0 or 1, or probabilities of 1"),
    ("cross_entropy", ONE, CODES, "needs an output for each class. Found one output. Use loss='binary'"),
    ("cross_entropy", TWO, torch.randn(6, 2), "Found 2 outputs and 2 targets"),
    ("gaussian", ONE, CODES.float(), "needs a mean and a variance for every target"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_with_the_forms_that_would(loss, outputs, targets, message):
    with pytest.raises(InvalidInput, match=message):
        read_labels(loss, outputs, targets)


def test_what_was_chosen_is_said_where_it_is_not_plain():
    def codes(outputs, targets):
        return {flag.code for flag in read_labels("auto", outputs, targets).flags}

    assert codes(TWO, CODES) == codes(ONE, CODES) == codes(ONE, torch.randn(6)) == set()
    assert (
        codes(TWO, CODES.float())
        == codes(ONE, CODES * 9)
        == codes(THREE, torch.tensor([[1, 1, 0]] * 6))
        == {"loss-chosen"}
    )
    assert codes(TWO, torch.eye(2)[CODES]) == {"one-hot"}
    assert codes(TWO, torch.randn(6, 2)) == {"several-targets"}


@pytest.mark.parametrize("form", [
    lambda y: y.astype(np.float32), lambda y: y[:, None], lambda y: y[:, None].astype(float), lambda y: y.astype(bool),
    lambda y: np.eye(2)[y], lambda y: np.eye(2, dtype=int)[y],
])  # fmt: skip
def test_an_audit_is_the_same_for_every_form(form):
    x, y = noisy()
    model = overfitted(x[:60], y[:60])

    def numbers(labels):
        result = audit_finished(model, (x[:60], labels[:60]), (x[60:], labels[60:]), **QUICK)
        return [(row.metrics["accuracy"].value, row.attacks["threshold"].advantage.value) for row in result.rows]

    assert numbers(form(y)) == numbers(y)
    assert numbers(y)[0][1] > 0.1


def test_several_tasks_have_the_mean_of_their_metrics():
    x, _ = noisy()
    y = (x[:, :3] > 0).astype(float)
    y[::7, 1] = np.nan
    torch.manual_seed(0)
    model = torch.nn.Linear(6, 3)
    result = audit_finished(model, (x[:60], y[:60]), (x[60:], y[60:]), **QUICK)
    with torch.no_grad():
        logits = model(torch.tensor(x[60:])).numpy()
    held, known = y[60:], ~np.isnan(y[60:])
    areas = [roc_auc_score(held[known[:, t], t], logits[known[:, t], t]) for t in range(3)]
    assert result.rows[0].metrics["roc_auc"].value == pytest.approx(np.mean(areas))
    assert result.config["loss"] == "binary"
    assert result.rows[0].metrics["loss"].value > 0


@pytest.mark.parametrize(("outputs", "targets", "kinds"), [
    (2, [[0.0, 2.5], [1.0, NAN], [NAN, 7.0]], [2, 0]),  # a class and a value
    (4, [[0.0, 2.0], [1.0, NAN], [NAN, 0.0]], [2, 3]),  # an output for each of three classes
    (2, [[0.0, 2.0], [1.0, NAN], [NAN, 0.0]], [2, 0]),  # no output for them: whole numbers are values
    (3, [[0.0, NAN, 2.5], [1.0, NAN, 0.5], [1.0, NAN, 7.0]], [2, 0, 0]),  # nothing is known of the second
])  # fmt: skip
def test_each_of_several_targets_is_read_by_its_own_labels(outputs, targets, kinds):
    read = read_labels("auto", torch.randn(3, outputs), torch.tensor(targets), ("a", "b", "c")[: len(kinds)])
    assert read.kind == "mixed"
    assert [len(task.classes) for task in read.tasks] == kinds
    assert [task.name for task in read.tasks] == ["a", "b", "c"][: len(kinds)]


def test_codes_for_holes_in_one_of_several_targets_name_it():
    targets = torch.tensor([[0.0, 2.5], [1.0, 0.1], [-1.0, 7.0]] * 3)
    with pytest.raises(InvalidInput, match="labels -1 and 1 .* of which 'toxic' is such"):
        read_labels("auto", torch.randn(9, 2), targets, ("toxic", "logS"))


def test_targets_that_never_vary_have_no_metric():
    x, _ = noisy()
    for target in (2.5, 0.0):
        y = np.full(120, target, np.float32)
        result = audit_finished(torch.nn.Linear(6, 1), (x[:60], y[:60]), (x[60:], y[60:]), **QUICK)
        assert any(isinstance(number, NotComputed) for number in result.rows[0].metrics.values())


@pytest.mark.parametrize(
    ("outputs", "targets", "text"),
    [
        (THREE, torch.tensor([[0, 1, -100.0]] * 3 + [[1, 0, 0]] * 3), "labels 0 and 1 with -100 among them"),
        (THREE, torch.tensor([[0, 1, 999]] * 3 + [[1, 0, 0]] * 3), "labels 0 and 1 with 999 among them"),
        (TWO, torch.tensor([0, 1, 0, 1, -100, -100]), "2 of 6 are -100, as records without a label are coded"),
        (
            torch.zeros(40, 1),
            torch.cat([torch.randn(39), torch.tensor([1e30])]),
            r"far from all others in 1 row \(39\)",
        ),
        (
            torch.zeros(40, 1),
            torch.cat([torch.randn(38), torch.tensor([-999.0] * 2)]),
            "-999, like a code for a missing",
        ),
    ],
)
def test_codes_for_holes_and_overflows_are_no_labels(outputs, targets, text):
    with pytest.raises(InvalidInput, match=text):
        read_labels("auto", outputs, targets)


def test_values_that_may_be_classes_or_probabilities_are_told():
    for targets in (CODES.float() * 2, torch.linspace(0, 1, 6)):
        assert [flag.code for flag in read_labels("auto", ONE, targets).flags] == ["loss-chosen"]


def test_soft_labels_with_other_sums_are_divided_where_rounding_explains_them_and_refused_elsewhere():
    shares = torch.tensor([[0.33, 0.33, 0.33], [0.2, 0.3, 0.52], [0.5, 0.25, 0.25]])
    read = read_labels("auto", THREE[:3], shares)
    assert read.kind == "soft"
    assert torch.allclose(read.recode(shares).sum(1), torch.ones(3, dtype=torch.float64))
    assert "miss a sum of 1 by up to 0.02" in read.flags[0].text
    percent, votes = 100 * shares / shares.sum(1, keepdim=True), torch.tensor([[3, 1, 1], [5, 0, 0], [0, 2, 3]])
    tasks = torch.tensor([[0.9, 0.8, 0.1], [0.2, 0.1, 0.1], [0.6, 0.7, 0.9]])
    for targets, text in ((percent, "sum to 100 in every"), (votes, "sum to 5 in every"), (tasks, "0.4 to 2.2 a rec")):
        for loss in ("auto", "cross_entropy"):
            with pytest.raises(InvalidInput, match=rf"probabilities of 3 classes must sum to 1.*{text}.*loss='binary'"):
                read_labels(loss, THREE[:3], targets)
        assert read_labels("squared_error", THREE[:3], targets).kind == "values"
    assert read_labels("binary", THREE[:3], tasks).kind == "tasks"
    assert (
        read_labels("auto", THREE[:3], torch.tensor([[0.1, 3.0, 2.0], [0.5, 1.0, 9.0], [1.0, 0.0, 4.0]])).kind
        == "values"
    )
