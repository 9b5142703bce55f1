"""The simple indicators: against slow twins, with their ranges, directions and invariances, and bad input."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaq.attacks.scoring import Resampling
from leaq.attacks.threshold import Threshold
from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.measures.distortion import correlation, distortion, loss_gap, loss_tnr
from leaq.types import LossTable
from tests.helpers import ROUNDING

QUICK = {"draws": 10}


def table(outputs, *, task="regression", seed=0, members=None, losses=None):
    rng = np.random.default_rng(seed)
    s, n, _ = outputs.shape
    members = rng.permuted(np.tile(np.arange(n) % 2 == 0, (s, 1)), axis=1) if members is None else members
    losses = rng.exponential(1, (s, n)) if losses is None else losses
    return LossTable(losses[:, None], members, task, "pool", n_train=n // 2, outputs=outputs)


def pair(seed=0, *, s=3, n=40, k=2, noise=0.3, task="classification"):
    rng = np.random.default_rng(seed)
    before = rng.normal(size=(s, n, k)) * 2 + rng.normal(size=k)
    return table(before + rng.normal(0, noise, before.shape), task=task), table(before, task=task)


def centred(outputs, task):
    return [[z - z.mean() if task == "classification" else z for z in model] for model in outputs]


def slow_distortion(after, before, task):
    """Loops over models, records and outputs: sum of squared moves over sum of squared deviations."""
    found = []
    for f, g in zip(centred(after, task), centred(before, task), strict=True):
        k = len(g[0])
        mean = [sum(z[j] for z in g) / len(g) for j in range(k)]
        moved = sum((f[i][j] - g[i][j]) ** 2 for i in range(len(g)) for j in range(k))
        found.append(moved / sum((z[j] - mean[j]) ** 2 for z in g for j in range(k)))
    return np.mean(found)


def slow_correlation(after, before, task):
    pairs = zip(centred(after, task), centred(before, task), strict=True)
    return np.mean([np.corrcoef(np.ravel(f), np.ravel(g))[0, 1] for f, g in pairs])


def slow_gap(one):
    gaps = []
    for losses, members in zip(one.released, one.members, strict=True):
        outside = [x for x, m in zip(losses, members, strict=True) if not m]
        gaps.append(sum(outside) / len(outside) - sum(losses[members]) / members.sum())
    return np.mean(gaps)


def slow_tnr(one):
    shares = []
    for losses, members in zip(one.released, one.members, strict=True):
        inside = sorted(losses[members])
        limit = next(x for i, x in enumerate(inside, start=1) if i >= 0.99 * len(inside))
        shares.append(sum(x > limit for x in losses[~members]) / (~members).sum())
    return np.mean(shares)


TWINS = {distortion: slow_distortion, correlation: slow_correlation}
shapes = {"seed": st.integers(0, 999), "s": st.integers(1, 4), "n": st.integers(8, 30), "k": st.integers(2, 4)}


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("indicator", TWINS)
@settings(max_examples=15)
@given(**shapes)
def test_as_the_slow_twin(indicator, task, seed, s, n, k):  # noqa: PLR0917
    after, before = pair(seed, s=s, n=n, k=k, task=task)
    found = indicator(after, before, **QUICK)
    assert found.value == pytest.approx(TWINS[indicator](after.outputs, before.outputs, task), rel=1e-9)
    assert found.low <= found.value <= found.high


@settings(max_examples=15)
@given(**shapes)
def test_the_gap_as_its_slow_twin(seed, s, n, k):
    one = pair(seed, s=s, n=n, k=k)[0]
    assert loss_gap(one, **QUICK).value == pytest.approx(slow_gap(one), rel=1e-9)


@settings(max_examples=15)
@given(**shapes)
def test_the_tail_as_its_slow_twin(seed, s, n, k):
    one = pair(seed, s=s, n=n, k=k)[0]
    found = loss_tnr(one, **QUICK)
    assert found.value == pytest.approx(slow_tnr(one), rel=1e-9)
    assert 0 <= found.low <= found.value <= found.high <= 1
    rounded = replace(one, losses=one.losses.round())  # many ties
    assert loss_tnr(rounded, **QUICK).value == pytest.approx(slow_tnr(rounded), rel=1e-9)


def test_the_tail_of_weighted_records_is_that_of_repeated_ones():
    """A bootstrap draw that takes every record twice changes nothing; losses alike clear one in a hundred."""
    rng = np.random.default_rng(0)
    one = LossTable.from_losses(rng.exponential(size=2000), rng.exponential(size=4000))
    found = loss_tnr(one)
    assert found.low < 0.01 < found.high
    assert [flag.code for flag in found.flags] == []
    few = LossTable.from_losses(rng.exponential(size=60), rng.exponential(size=60))
    assert [flag.code for flag in loss_tnr(few).flags] == ["few-members"]
    with pytest.raises(NotEnoughEvidence, match="loss_tnr: every model needs members and non-members"):
        loss_tnr(replace(one, members=np.ones_like(one.members)))


def test_twins_catch_broken_ones():
    after, before = pair()
    uncentred = replace(after, task="regression"), replace(before, task="regression")
    for indicator, twin in TWINS.items():
        truth = twin(after.outputs, before.outputs, "classification")
        assert indicator(*uncentred, **QUICK).value != pytest.approx(truth, rel=1e-6)
    swapped = replace(after, members=~after.members)
    assert loss_gap(swapped, **QUICK).value == pytest.approx(-slow_gap(after))


def test_range_and_ends():
    _, before = pair()
    assert distortion(before, before, **QUICK).value == 0
    assert correlation(before, before, **QUICK).value == pytest.approx(1)
    turned = replace(before, outputs=-before.outputs)
    assert correlation(turned, before, **QUICK).value == pytest.approx(-1)
    assert distortion(turned, before, **QUICK).value > 4  # |2 f|^2 / Var f, and the mean adds to it
    collapsed = replace(before, outputs=np.zeros_like(before.outputs))
    assert correlation(collapsed, before, **QUICK).value == 0


def test_direction():
    noises = (0.05, 0.2, 0.8, 3.0)
    moved = [distortion(*pair(1, n=200, noise=noise), **QUICK).value for noise in noises]
    followed = [correlation(*pair(1, n=200, noise=noise), **QUICK).value for noise in noises]
    assert moved == sorted(moved)
    assert followed == sorted(followed, reverse=True)
    rng = np.random.default_rng(0)
    losses, fitted = rng.exponential(1, (4, 200)), table(np.zeros((4, 200, 1)))
    gaps = []
    for share in (0.0, 0.4, 0.9):
        less = np.where(fitted.members, (1 - share) * losses, losses)
        gaps.append(loss_gap(replace(fitted, losses=less[:, None]), **QUICK).value)
    assert gaps == sorted(gaps)
    assert abs(gaps[0]) < 0.2


@pytest.mark.parametrize("indicator", TWINS)
def test_what_changes_nothing(indicator):
    after, before = pair()
    value = indicator(after, before, **QUICK).value
    shift = np.random.default_rng(3).normal(size=(3, 40, 1))
    both = replace(after, outputs=after.outputs + shift), replace(before, outputs=before.outputs - 2 * shift)
    assert indicator(*both, **QUICK).value == pytest.approx(value)  # a constant on all logits of a record
    scaled = replace(after, outputs=7 * after.outputs), replace(before, outputs=7 * before.outputs)
    assert indicator(*scaled, **QUICK).value == pytest.approx(value)
    order = np.random.default_rng(4).permutation(40)
    mixed = [replace(t, outputs=t.outputs[::-1, order], members=t.members[::-1, order]) for t in (after, before)]
    assert indicator(*mixed, **QUICK).value == pytest.approx(value)
    other = replace(after, members=~after.members)
    assert indicator(other, before, **QUICK).value == value  # membership is not looked at


def test_only_distortion_minds_a_shrunken_output():
    _, before = pair()
    shrunk = replace(before, outputs=before.outputs / 3)
    assert correlation(shrunk, before, **QUICK).value == pytest.approx(1)
    assert distortion(shrunk, before, **QUICK).value > 0.3


def test_the_gap_ignores_constants_of_a_model_and_scales_with_the_loss():
    one = pair()[0]
    value = loss_gap(one, **QUICK).value
    moved = replace(one, losses=one.losses + np.array([1.0, 2.0, 3.0])[:, None, None])
    assert loss_gap(moved, **QUICK).value == pytest.approx(value)
    scaled = replace(one, losses=5 * one.losses)
    np.testing.assert_allclose(loss_gap(scaled, **QUICK).value, 5 * value, **ROUNDING)


def test_the_threshold_attack_reads_the_order_of_losses_only():
    rng = np.random.default_rng(0)
    one = table(np.zeros((4, 300, 1)), losses=rng.exponential(1, (4, 300)))
    fitted = replace(one, losses=np.where(one.members, 0.3 * one.losses[:, 0], one.losses[:, 0])[:, None])
    quick = Resampling(draws=10)
    found = Threshold()(fitted, resampling=quick).advantage
    assert Threshold()(replace(fitted, losses=np.log1p(fitted.losses)), resampling=quick).advantage == found
    assert abs(Threshold()(one, resampling=quick).advantage.value) < 0.1 < found.value


@pytest.mark.parametrize("indicator", [distortion, correlation])
def test_refusals_of_outputs(indicator):
    after, before = pair()
    with pytest.raises(InvalidInput, match="must hold outputs"):
        indicator(replace(after, outputs=None), before)
    fewer = replace(before, outputs=before.outputs[:, :, :1])
    with pytest.raises(InvalidInput, match=r"same models, records and outputs. Found \(3, 40, 2\) and \(3, 40, 1\)"):
        indicator(after, fewer)
    broken = after.outputs.copy()
    broken[1, 2] = np.nan
    with pytest.raises(InvalidInput, match=r"outputs must be finite. Found 2 \(nan at"):
        indicator(replace(after, outputs=broken), before)
    flat = replace(before, outputs=np.zeros_like(before.outputs))
    with pytest.raises(NotEnoughEvidence, match="one output for all records"):
        indicator(after, flat)
    one_flat = before.outputs.copy()
    one_flat[0] = 0
    found = indicator(after, replace(before, outputs=one_flat), **QUICK)
    assert [flag.code for flag in found.flags] == ["constant-outputs"]
    assert np.isfinite([found.value, found.low, found.high]).all()


def test_the_gap_refuses_models_without_members():
    one = pair()[0]
    members = one.members.copy()
    members[1] = True
    with pytest.raises(NotEnoughEvidence, match="only one kind for model 1"):
        loss_gap(replace(one, members=members))
