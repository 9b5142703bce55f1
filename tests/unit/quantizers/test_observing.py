"""Static ranges: observed on each model's records in full precision, fixed for all its candidates."""

import numpy as np
import pytest
import torch
from torch import nn

from leaq.errors import InvalidInput
from leaq.evaluation import evaluate_checkpoints
from leaq.models import ModuleModel, checkpoints_of
from leaq.quantizers import Calibration, build
from leaq.quantizers.observing import nearest
from leaq.training import MLP
from leaq.types import Activations, Checkpoints, Samples
from leaq.types.activations import OUTPUTS, results_of

STATIC = "uniform(bits=8, activations=8, ranges={}, zero_point=free, outputs=all)"


@pytest.fixture
def trained(rng):
    """Two perceptrons with three checkpoints each, and the records of each."""
    mlp = MLP(d=3, k=2, hidden=(5,), task="classification")
    params = {name: tensor.reshape(2, 3, *tensor.shape[1:]) for name, tensor in mlp.init(0, range(6)).items()}
    inputs = np.exp(rng.normal(size=(8, 3)))
    return mlp, Checkpoints(params, mlp.roles, (2, 3)), inputs, np.arange(8) % 2 == np.arange(2)[:, None]


def passes(params, inputs, i):
    """What the two layers of model i are given and give, a ReLU between them, by hand."""
    x = torch.tensor(inputs, dtype=torch.float32)
    first = x @ params["layers.0.weight"][i].T + params["layers.0.bias"][i]
    hidden = torch.relu(first)
    return x, hidden, hidden, hidden @ params["layers.1.weight"][i].T + params["layers.1.bias"][i]


def averaged(each):
    """The moving average of AI Edge Quantizer, record by record."""
    found = each[0]
    for one in each[1:]:
        found = 0.95 * found + 0.05 * one
    return found


HOW = {
    "minmax": lambda each, end: end(each),
    "mean": lambda each, _: each.mean(),
    "moving": lambda each, _: averaged(each),
}


@pytest.mark.parametrize("way", HOW)
def test_each_models_ranges_are_those_of_its_own_records_in_full_precision(trained, way):
    mlp, checkpoints, inputs, members = trained
    shown, released = Calibration(mlp, inputs, members), checkpoints.last()
    fitted = build(STATIC.format(way)).fitted_to(released, shown)
    names = ("layers.0.weight", "layers.1.weight", results_of("layers.0.weight"), results_of("layers.1.weight"))
    for i in range(2):
        x, hidden, given, outputs = passes(released.params, inputs[shown.rows[i]], i)
        for name, values in zip((*names, OUTPUTS), (x, hidden, given, outputs, outputs), strict=True):
            wanted = [HOW[way](values.amin(1), torch.min), HOW[way](values.amax(1), torch.max)]
            torch.testing.assert_close(fitted.observed.ranges[name][i], torch.stack(wanted), msg=f"{name} {i}")
    candidates = fitted(checkpoints)
    for name, ends in candidates.activations.ranges.items():
        assert torch.equal(ends, fitted.observed.ranges[name][:, None].expand(2, 3, 2)), name
    assert fitted.size(released).bytes == build("uniform(bits=8)").size(released).bytes + 5 * 2 * 4


def test_a_perceptron_and_the_same_network_in_torch_round_alike(trained):
    mlp, checkpoints, inputs, _ = trained
    released = checkpoints.last()
    module = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    names = {"0.weight": "layers.0.weight", "0.bias": "layers.0.bias", "2.weight": "layers.1.weight",
             "2.bias": "layers.1.bias"}  # fmt: skip
    roles = {name: released.roles[own] for name, own in names.items()}
    same = Checkpoints({name: released.params[own] for name, own in names.items()}, roles, (2,))
    samples = Samples(inputs, np.arange(8) % 2, "classification", classes=("0", "1"))
    for zero_point in ("middle", "sign", "free"):
        scheme = build(f"uniform(bits=4, activations=3, ranges=minmax, zero_point={zero_point}, outputs=all)")
        tables = [
            evaluate_checkpoints(
                model, scheme(weights, Calibration(model, inputs.astype(np.float32))), samples, np.ones((2, 8), bool)
            ).outputs
            for model, weights in ((mlp, released), (ModuleModel(module), same))
        ]
        np.testing.assert_allclose(tables[0], tables[1], rtol=1e-4, atol=1e-5)


def test_ranges_of_filters_are_those_of_the_pictures_and_of_what_comes_behind_a_relu():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Conv2d(3, 2, 2), nn.Flatten(), nn.Linear(8, 2))
    x = torch.randn(9, 2, 5, 5)
    weights = checkpoints_of(module)
    how = build(STATIC.format("mean")).fitted_to(weights, Calibration(ModuleModel(module), x.numpy())).observed
    hidden = module[:2](x).detach()
    for name, values in (("0.weight", x), ("2.weight", hidden), (results_of("0.weight"), hidden),
                         (results_of("2.weight"), module[:3](x).detach())):  # fmt: skip
        each = values.flatten(1)
        torch.testing.assert_close(how.ranges[name][0], torch.stack([each.amin(1).mean(), each.amax(1).mean()]))


def test_the_way_that_a_files_own_ranges_were_observed_is_told(trained):
    mlp, checkpoints, inputs, _ = trained
    one = checkpoints.last().at(slice(0, 1))
    shown = Calibration(mlp, inputs)
    for way in HOW:
        own = build(STATIC.format(way)).fitted_to(one, shown).observed
        told, off = nearest(build(STATIC.format("minmax")), one, shown, own.at(0))
        assert (told, off) == (way, 0)


def test_what_cannot_be_is_refused_with_the_remedy(trained):
    checkpoints = trained[1]
    scheme = build(STATIC.format("minmax"))
    assert [flag.code for flag in scheme.flags()] == ["calibrated-on-members"]
    assert scheme.needs.calibration
    assert build("uniform(bits=8, activations=8, ranges=minmax, calibrated=elsewhere)").needs.calibration
    with pytest.raises(InvalidInput, match="needs calibration records. Pass calibration="):
        scheme(checkpoints.last())
    for spec, said in (("uniform(bits=8, ranges=minmax)", "say how activations are rounded; name their bits"),
                       ("uniform(bits=8, activations=8, outputs=all)", "by an observed range"),
                       ("uniform(bits=8, activations=8, ranges=other)", "ranges")):  # fmt: skip
        with pytest.raises(InvalidInput, match=said):
            build(spec)
    with pytest.raises(InvalidInput, match=r"the range of 'w' must be of shape \(2, 2\). Found \(1, 2\)"):
        Checkpoints(
            {"w": torch.zeros(2, 1)},
            {"w": "linear"},
            (2,),
            activations=Activations(8, "free", {"w": torch.zeros(1, 2)}),
        )
