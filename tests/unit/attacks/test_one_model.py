"""The estimate from one model: what it follows, what it refuses, and how wide its interval is."""

import numpy as np
import pytest

from leaq.attacks.one_model import COEFFICIENTS, MISS, distance, features, foretold, from_one_model
from leaq.errors import NotEnoughEvidence
from leaq.types import LossTable


def table(shift, *, noise=0.0, n=400, task="classification", n_train=200, scores=True, seed=0):
    rng = np.random.default_rng(seed)
    members = np.arange(n) < n // 2
    margins = rng.normal(size=n) + shift * members + noise * rng.normal(size=n)
    if task == "regression":
        margins = rng.normal(size=n) * np.exp(-shift * members) + noise * rng.normal(size=n)
    losses = np.logaddexp(0, -margins) if task == "classification" else margins**2
    kind = "margin" if task == "classification" else "residual"
    told = margins[None] if scores else None
    return LossTable(losses[None, None], members[None], task, "iid", n_train, scores=told, score_kind=kind)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_more_separation_is_more_leak(task):
    found = [from_one_model(table(shift, task=task)).value for shift in (0.0, 0.5, 1.0, 2.0, 4.0)]
    assert found == sorted(found)
    assert found[-1] > 0.8


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_where_nothing_leaks_the_interval_mostly_reaches_nothing(task):
    found = [from_one_model(table(0.0, n=200, task=task, seed=seed)) for seed in range(200)]
    assert np.mean([one.low == 0 for one in found]) > 0.9  # 0.96 and 0.97
    assert np.mean([one.value for one in found]) < 0.16


def test_noise_of_a_quantizer_is_less_leak():
    full = table(2.0)
    values = [from_one_model(table(2.0, noise=noise), full).value for noise in (0.0, 1.0, 4.0)]
    assert values == sorted(values, reverse=True)
    assert values[0] == from_one_model(full).value


def test_the_interval_holds_the_value_and_widens_with_few_records_and_with_the_level():
    many, few = from_one_model(table(1.0, n=2000)), from_one_model(table(1.0, n=120))
    assert 0 <= few.low < few.value < few.high <= 1
    assert many.high - many.low > 2 * 1.96 * MISS
    assert few.high - few.low > many.high - many.low
    narrow = from_one_model(table(1.0, n=2000), level=0.5)
    assert narrow.high - narrow.low < many.high - many.low


def test_outputs_that_no_longer_vary_are_no_error():
    full = table(1.0)
    flat = LossTable(
        np.full((1, 1, 400), 0.7), full.members, "classification", "iid", 200,
        scores=np.zeros((1, 400)), score_kind="margin",
    )  # fmt: skip
    found = from_one_model(flat, full)
    assert 0 <= found.value < from_one_model(full).value


def test_perfect_separation_stays_finite():
    found = from_one_model(table(40.0))
    assert found.value > 0.9
    assert np.isfinite([found.low, found.high]).all()


def test_what_it_was_not_calibrated_on_is_flagged():
    assert [flag.code for flag in from_one_model(table(1.0)).flags] == ["one-model"]
    far = from_one_model(table(1.0, n_train=50_000)).flags
    assert [flag.code for flag in far] == ["one-model", "one-model-far"]


@pytest.mark.parametrize(("made", "said"), [({"n": 80}, "at least 50"), ({"scores": False}, "one class or value")])
def test_too_little_is_refused_by_name(made, said):
    with pytest.raises(NotEnoughEvidence, match=said):
        from_one_model(table(1.0, **made))


def test_features_and_distance_speak_of_the_same():
    found, error = features(table(1.0), table(1.0))
    assert found[0] == 1
    assert np.allclose(found[3:], 0)
    assert 0 < error < 0.3
    advantage = np.array([0.1, 0.5, 0.9])
    assert np.allclose(foretold(distance(advantage)[:, None], (1.0,)), advantage)
    assert len(COEFFICIENTS) == len(found)
