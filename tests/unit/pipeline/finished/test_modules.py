"""What an auditor gets for a finished model, and every trap he can walk into."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from leaq.errors import InvalidInput, NotEnoughEvidence, UnsupportedModel
from leaq.measures.one_run import lt_iqr, record_risk
from leaq.pipeline.finished.evaluating import ModelEvaluator
from leaq.pipeline.finished.modules import Run, refuse_unseen, told_by
from leaq.pipeline.finished.records import read_records
from leaq.reporting.narrative import reading
from leaq.reporting.tables import ranking
from leaq.results import CellResult
from leaq.types import Checkpoints, Estimate
from tests.unit.pipeline.finished.cases import QUICK, codes
from tests.unit.pipeline.finished.models import audit_finished, halves, noisy


def test_memorised_records_are_found(result):
    assert [row.label for row in result.rows] == ["full precision", "sign", "8-bit per channel"]
    full, _, eight = (row.attacks["threshold"].advantage for row in result.rows)
    assert full.low > 0.1
    assert abs(full.value - eight.value) < 0.1


def test_the_result_survives_its_stored_form(result):
    assert CellResult.from_json(result.to_json()).to_json() == result.to_json()
    assert result.data["parameters"] == 6 * 48 + 48 + 48 * 2 + 2


def test_the_same_audit_gives_the_same_numbers(model, data):
    first, second = (audit_finished(model, *data, **QUICK) for _ in range(2))
    assert first.to_json(timings=False) == second.to_json(timings=False)


@pytest.mark.filterwarnings("ignore")
def test_a_model_with_a_scripted_part_is_audited_like_the_plain_one(model, data):
    """It was refused with torch's own words."""
    mixed = nn.Sequential(*model[:2], torch.jit.script(model[2])).eval()
    plain, found = (audit_finished(one, *data, **QUICK) for one in (model, mixed))
    assert [str(row.attacks["threshold"].advantage) for row in found.rows] == [
        str(row.attacks["threshold"].advantage) for row in plain.rows
    ]
    assert [row.metrics["loss"].value for row in found.rows] == pytest.approx(
        [row.metrics["loss"].value for row in plain.rows], rel=1e-5
    )


def test_models_of_the_same_records_forms_agree(model, data):
    loader = [DataLoader(TensorDataset(torch.tensor(x), torch.tensor(y)), batch_size=13) for x, y in data]
    plain, loaded = audit_finished(model, *data, **QUICK), audit_finished(model, *loader, **QUICK)
    for row, other in zip(plain.rows, loaded.rows, strict=True):
        assert row.attacks["threshold"].advantage.value == other.attacks["threshold"].advantage.value
        assert row.metrics["loss"].value == pytest.approx(other.metrics["loss"].value, rel=1e-5)


def test_a_model_that_learned_nothing_shows_no_leak(data):
    torch.manual_seed(1)
    found = audit_finished(nn.Linear(6, 2), *data, **QUICK).rows[0].attacks["threshold"].advantage
    assert found.low <= 0


@pytest.mark.parametrize("kind", ["convolution", "graph", "transformer", "regression", "binary"])
def test_kinds_of_models(rng, kind):
    from tests.unit.models.test_modules import Encoder, Graph, conv

    torch.manual_seed(0)
    y = torch.randint(2, (50,))
    module, inputs = {
        "convolution": (conv, torch.randn(50, 1, 6, 6)),
        "graph": (Graph, (torch.randn(50, 3, 4), torch.rand(50, 3, 3))),
        "transformer": (Encoder, torch.randn(50, 4, 8)),
        "regression": (lambda: nn.Linear(3, 1), torch.randn(50, 3)),
        "binary": (lambda: nn.Linear(3, 1), torch.randn(50, 3)),
    }[kind]
    targets = torch.randn(50) if kind == "regression" else y

    def part(rows):
        if isinstance(inputs, tuple):
            return [(*(t[rows] for t in inputs), targets[rows])]
        return inputs[rows], targets[rows]

    result = audit_finished(module(), part(slice(0, 25)), part(slice(25, 50)), **QUICK)
    assert result.primary_metric == ("r2" if kind == "regression" else "roc_auc")
    assert isinstance(result.rows[1].measures["distortion"], Estimate)


def test_calibrated_quantizers_say_what_they_could_not_calibrate():
    from tests.unit.models.test_modules import Encoder

    torch.manual_seed(0)
    x, y = torch.randn(50, 4, 8), torch.randint(3, (50,))
    result = audit_finished(
        Encoder(), (x[:25], y[:25]), (x[25:], y[25:]), quantizers=("gptq(bits=3)",), draws=40, neighbours=8
    )
    text = next(flag.text for flag in result.rows[1].flags if flag.code == "partly-calibrated")
    assert "body.layers.0.self_attn.in_proj_weight" in text
    assert "linear1" not in text


def test_calibrated_quantizers_take_tokens_and_refuse_several_inputs():
    class Bag(nn.Sequential):
        def forward(self, tokens):
            return self[1](self[0](tokens).mean(1))

    torch.manual_seed(0)
    tokens, y = torch.randint(9, (50, 5)), torch.arange(50) % 2
    inside, outside = (tokens[:25], y[:25]), (tokens[25:] + 9, y[25:])
    options = {"quantizers": ("gptq(bits=3)",), "draws": 40, "neighbours": 8}
    result = audit_finished(Bag(nn.Embedding(18, 6), nn.Linear(6, 2)), inside, outside, **options)
    assert "0.weight" in next(flag.text for flag in result.rows[1].flags if flag.code == "partly-calibrated")
    pair = (((tokens[:25], y[:25].float()), y[:25]), ((tokens[25:], y[25:].float()), y[25:]))

    class Both(Bag):
        def forward(self, tokens, _):
            return super().forward(tokens)

    with pytest.raises(UnsupportedModel, match="calibration needs inputs that are one array. Found several"):
        audit_finished(Both(nn.Embedding(18, 6), nn.Linear(6, 2)), *pair, overlap="keep", **options)


def test_records_given_twice_are_refused_or_flagged(model, data):
    (x, y), (xn, yn) = data
    both = (np.r_[xn, x[:2]], np.r_[yn, y[:2]])
    with pytest.raises(InvalidInput, match=r"Of the nonmembers, 2 rows \(60, 61\), counted from 0, have the inputs"):
        audit_finished(model, (x, y), both, **QUICK)
    assert "overlap" in codes(audit_finished(model, (x, y), both, overlap="keep", **QUICK).flags)


def test_members_that_differ_visibly_are_flagged_with_the_auc(model, data):
    (x, y), (xn, yn) = data
    result = audit_finished(model, (x, y), (xn + 1.5, yn), **QUICK)
    text = next(flag.text for flag in result.flags if flag.code == "members-differ")
    assert "AUC 0.9" in text or "AUC 1.0" in text
    assert result.data["shift_auc"]["low"] > 0.8


def test_members_whose_labels_differ_are_flagged(model, data):
    """Members of one class and others of all: the inputs look alike, and the attack tells the class."""
    (x, y), (xn, yn) = data
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(len(x), x.shape[1])), rng.normal(size=(len(xn), x.shape[1]))
    result = audit_finished(model, (one, np.zeros_like(y)), (other, np.arange(len(yn)) % 2), **QUICK)
    texts = [flag.text for flag in result.flags if flag.code == "members-differ"]
    assert len(texts) == 1
    assert "a classifier on the targets alone tells them apart with AUC 0." in texts[0]


def test_members_from_one_source_are_not_flagged(result):
    assert "members-differ" not in codes(result.flags)
    assert result.data["shift_auc"]["low"] < 0.52


def test_the_number_of_training_records_is_assumed_or_taken(model, data):
    assert "n-train-assumed" in codes(audit_finished(model, *data, **QUICK).flags)
    told = audit_finished(model, *data, n_train=5000, **QUICK)
    assert told.data["n_train"] == 5000
    assert "n-train-assumed" not in codes(told.flags)


def test_too_few_records_foreign_labels_and_other_objects_are_refused(model, data):
    (x, y), outside = data
    with pytest.raises(NotEnoughEvidence, match="members: an audit needs at least 20 records. Found 5"):
        audit_finished(model, (x[:5], y[:5]), outside, **QUICK)
    with pytest.raises(InvalidInput, match=r"class codes 0..1, one for each output of the model. Found 0..7"):
        audit_finished(model, (x, np.where(y, 7, 0)), outside, **QUICK)
    with pytest.raises(UnsupportedModel, match="weights, or something that can be called. Found dict"):
        audit_finished({}, *data)
    with pytest.raises(InvalidInput, match="Unknown quantizer .sgn.*Did you mean .sign"):
        audit_finished(model, *data, quantizers=("sgn",))
    with pytest.raises(InvalidInput, match="unknown option 'member'"):
        audit_finished(model, *data, member=3)


def test_scikit_learn_is_audited_in_one_call(rng):
    import warnings

    from sklearn.neural_network import MLPClassifier

    x, y = rng.normal(size=(80, 4)), np.array(["no", "yes"])[rng.integers(2, size=80)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MLPClassifier(hidden_layer_sizes=(40,), max_iter=150, random_state=0).fit(x[:40], y[:40])
    result = audit_finished(model, (x[:40], y[:40]), (x[40:], y[40:]), **QUICK)
    assert result.rows[0].metrics["accuracy"].value == pytest.approx(model.score(x[40:], y[40:]))


def test_loaders_of_graph_libraries_are_audited_as_they_are():
    """Batches as chemprop's: named tuples, graphs that move themselves in place, empty arguments, missing labels."""

    class Graphs:
        def __init__(self, nodes):
            self.nodes = nodes

        def to(self, device):
            self.nodes = self.nodes.to(device)

    class Training(NamedTuple):
        bmg: object
        V_d: object
        X_d: object
        Y: object
        w: object
        lt_mask: object
        gt_mask: object

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 2)

        def forward(self, graphs, atoms, molecules):
            assert atoms is None
            assert molecules is None
            return self.layer(graphs.nodes)

    x, _ = noisy()
    y = x[:, :2] * 3 + 1
    y[::9, 0] = np.nan

    def batches(rows):
        none = torch.zeros((20, 2), dtype=torch.bool)
        return [
            Training(
                Graphs(torch.tensor(x[i : i + 20])), None, None, torch.tensor(y[i : i + 20]), none + 1.0, none, none
            )
            for i in rows
        ]

    torch.manual_seed(0)
    net = Net()
    result = audit_finished(net, batches(range(0, 60, 20)), batches(range(60, 120, 20)), **QUICK)
    with torch.no_grad():
        errors = ((net.layer(torch.tensor(x)) - torch.tensor(y)) / torch.tensor(np.nanstd(y, axis=0))) ** 2
    wanted = float(torch.nanmean(errors.double()[60:], dim=1).mean())
    assert result.rows[0].metrics["loss"].value == pytest.approx(wanted, rel=1e-5)
    assert {"several-targets", "overlap-unchecked"} <= codes(result.flags)


def test_an_estimator_goes_by_its_own_name(data):
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression().fit(*data[0])
    assert audit_finished(fitted, *data, **QUICK).data["name"] == "LogisticRegression"


def test_what_is_not_computed_names_its_ingredient(result):
    assert {"lira", "lira(shadows=full_precision)"} <= set(result.not_computed)
    assert "shadow models" in result.not_computed["lira"]
    assert "a few replicates" in result.not_computed["forecast"]
    estimate = result.rows[0].measures["forecast_one"]
    assert 0 <= estimate.low < estimate.value < estimate.high <= 1
    assert result.rows[1].measures["forecast_one"].value < estimate.value
    assert "estimated to find" in reading(result)
    assert "Estimate" in [column.title for column in ranking(result).columns]
    assert isinstance(result.rows[1].measures["r"], Estimate)
    assert "no codes to move" in result.rows[0].measures["r"].reason


def test_costs_are_paired_with_full_precision(result):
    row = result.rows[2]
    assert abs(row.drops["roc_auc"].value) < 0.02
    assert abs(row.drops["loss"].value) < 0.1
    assert row.measures["distortion"].value < 0.01


def evaluator(net, **options):
    inside, outside = (read_records(part, name="records") for part in halves(n=120))
    return ModelEvaluator.build(net, inside, outside, **options)


def recording(count):
    rng = np.random.default_rng(0)
    params = {"weight": torch.tensor(rng.normal(size=(1, count, 2, 6)).astype(np.float32))}
    return Checkpoints(params, {"weight": "linear"}, (1, count))


def test_the_order_is_that_of_the_losses_of_its_members():
    judge = evaluator(nn.Linear(6, 2, bias=False))
    found = told_by(judge, recording(6))
    losses = judge.table(recording(6)).losses[0, :, :60]
    (x, y), _ = halves(n=120)
    assert found.private["run_risk"] == record_risk(losses, x, y, "classification").tolist()
    np.testing.assert_array_equal(found.private["run_baselines"]["LT-IQR"], lt_iqr(losses))
    assert found.described == {"recorded": 6}
    assert found.missing is None


def test_without_a_recording_nothing_is_said_and_a_short_one_tells_why():
    judge = evaluator(nn.Linear(6, 2, bias=False))
    assert told_by(judge, None) == Run()
    assert Run().described == {}
    short = told_by(judge, recording(3))
    assert "4 checkpoints. Found 60 and 3" in short.missing.reason
    assert short.private == {}
    assert short.described == {"recorded": 3}


def test_a_model_that_shows_no_weights_has_no_recording():
    refuse_unseen(nn.Linear(2, 2))
    with pytest.raises(InvalidInput, match="A recording belongs to a model whose weights are seen"):
        refuse_unseen(nn.Flatten())
