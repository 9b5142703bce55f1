import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from leaq.quantizers import Calibration, Sign, Ternary, Twn, build
from leaq.types import Checkpoints
from tests.helpers import ROUNDING
from tests.unit.quantizers.cases import run, weights


def test_survivors_are_the_largest_products_of_weight_and_input():
    rng = np.random.default_rng(1)
    weight, records = rng.normal(size=(1, 6, 10)), rng.normal(size=(50, 10)) * np.arange(10)
    scheme = build("ternary(sparsity=0.7, keep=inputs)")

    class Linear:
        homogeneous = ()

        def layer_inputs(self, params, inputs, shares):
            return {"weight": (inputs, shares)}

        def outputs(self, params, inputs):
            return inputs @ params["weight"].transpose(1, 2)

    given = Checkpoints({"weight": torch.tensor(weight)}, {"weight": "linear"}, (1,))
    found = scheme(given, Calibration(Linear(), records, source="public records")).params["weight"][0].numpy()
    score = np.abs(weight[0]) * np.sqrt((records**2).mean(0))
    kept = score >= np.sort(score.ravel())[42]
    np.testing.assert_array_equal(found != 0, kept)
    np.testing.assert_allclose(found, np.sign(weight[0]) * kept * np.abs(weight[0][kept]).mean())
    assert not kept[:, 0].any()  # the input that never occurs


def slow_sign(model: np.ndarray, per: str) -> np.ndarray:
    rows = model if per == "channel" else model.reshape(1, -1)
    return np.stack([np.where(row >= 0, 1, -1) * np.abs(row).mean() for row in rows]).reshape(model.shape)


@pytest.mark.parametrize("per", ["tensor", "channel"])
def test_a_sign_is_worth_the_mean_magnitude(per):
    weight = weights(0, 3, 4, 9)
    slow = [slow_sign(model, per) for model in weight.numpy()]
    np.testing.assert_allclose(run(Sign(per=per), weight), slow, **ROUNDING)
    assert set(run(Sign(scale="one"), weight).flatten()) == {-1.0, 1.0}


def slow_ternary(model: np.ndarray, sparsity: float) -> np.ndarray:
    """Drop one smallest weight after the other; what remains is worth its mean magnitude."""
    rest, found = list(np.argsort(np.abs(model), axis=None, kind="stable")), np.zeros(model.size)
    for _ in range(min(round(sparsity * model.size), model.size - 1)):
        rest.pop(0)
    flat = model.ravel()
    found[rest] = np.sign(flat[rest]) * np.abs(flat[rest]).mean()
    return found.reshape(model.shape)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**16), sparsity=st.floats(0, 0.99), inputs=st.integers(1, 11))
def test_ternary_drops_the_smallest_share(seed, sparsity, inputs):
    weight = weights(seed, 2, 3, inputs)
    slow = [slow_ternary(model, sparsity) for model in weight.numpy()]
    np.testing.assert_allclose(run(Ternary(sparsity=sparsity), weight), slow, **ROUNDING)


def test_a_constant_tensor_is_never_erased():
    weight = torch.full((1, 4, 5), -0.25)
    assert torch.equal(torch.from_numpy(run(Ternary(sparsity=0.9), weight)), weight)


@pytest.mark.parametrize("per", ["tensor", "channel"])
def test_twn_lets_the_weights_decide_how_many_vanish(per):
    weight = weights(4, 2, 3, 50)
    for found, model in zip(run(Twn(per=per), weight), weight.numpy(), strict=True):
        rows = model if per == "channel" else model.reshape(1, -1)
        for own, row in zip(found.reshape(rows.shape), rows, strict=True):
            kept = np.abs(row) >= 0.7 * np.abs(row).mean()
            np.testing.assert_allclose(own, np.sign(row) * kept * np.abs(row[kept]).mean(), **ROUNDING)
