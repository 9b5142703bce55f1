"""Each attack against a naive transcription of its paper: loops over targets, records and shadows, nothing shared."""

import math

import numpy as np
import pytest
from scipy import stats

from leaq.measures import lira as lira_room
from leaq.measures.calibrated import calibrated_scores
from leaq.measures.lira import lira_scores
from leaq.measures.rmia import log_likelihood, rmia_scores
from leaq.measures.shadows import Shadows
from leaq.measures.threshold import classwise_scores
from leaq.measures.whitebox import whitebox_scores
from tests.attack_tables import planted
from tests.helpers import ROUNDING

TASKS = ["classification", "regression"]


def shadows_of(table, target):
    """Every other model, except the exact complement of the target's members."""
    return [
        s for s in range(len(table.members)) if s != target and not (table.members[s] == ~table.members[target]).all()
    ]


def split(table, signals, target, record):
    """Signals of the shadows that trained on the record, and of those that did not."""
    shadows = shadows_of(table, target)
    inside = [signals[s, record] for s in shadows if table.members[s, record]]
    return np.array(inside), np.array([signals[s, record] for s in shadows if not table.members[s, record]])


def pooled(table, signals, target, side):
    """One variance for all records: squared deviations from each record's own mean over the degrees of freedom."""
    deviations, freedom = 0.0, 0
    for record in range(signals.shape[1]):
        values = split(table, signals, target, record)[side]
        deviations += ((values - values.mean()) ** 2).sum()
        freedom += len(values) - 1
    return deviations / freedom


def every(table, score):
    return np.array([[score(t, i) for i in range(table.members.shape[1])] for t in range(len(table.members))])


def naive_lira(table, variance, mode):
    signals = table.scores
    if mode == "offline" and table.task == "regression":
        signals = -np.abs(signals)
    fixed = [[pooled(table, signals, t, side) for side in (0, 1)] for t in range(len(signals))]

    def score(t, i):
        inside, outside = split(table, signals, t, i)
        var = fixed[t] if variance == "fixed" else [inside.var(ddof=1), outside.var(ddof=1)]
        x = signals[t, i]
        if mode == "offline":
            return (x - outside.mean()) / math.sqrt(var[1])
        return stats.norm.logpdf(x, inside.mean(), math.sqrt(var[0])) - stats.norm.logpdf(
            x, outside.mean(), math.sqrt(var[1])
        )

    return every(table, score)


@pytest.mark.parametrize("mode", ["online", "offline"])
@pytest.mark.parametrize("variance", ["fixed", "per_record"])
@pytest.mark.parametrize("task", TASKS)
def test_lira(task, variance, mode, rng):
    table = planted(rng, task=task, n=20, models=14)
    np.testing.assert_allclose(
        lira_scores(table, variance=variance, mode=mode), naive_lira(table, variance, mode), **ROUNDING
    )


def test_offline_lira_orders_records_as_the_papers_p_value_does(rng):
    """The paper's offline score is Pr[Z <= x], Z the Gaussian of the shadows that did not train on the record."""
    table = planted(rng, n=20)
    ours = lira_scores(table, mode="offline")[3]
    assert (np.argsort(ours) == np.argsort(stats.norm.cdf(ours))).all()


def test_nonadaptive_lira_takes_its_gaussians_from_the_other_table(rng):
    target, full = planted(rng, n=16), None
    full = type(target)(**{**vars(target), "scores": target.scores * 2 + 1})
    ours = lira_scores(target, shadows=full)
    t, i = 2, 5
    inside, outside = split(full, full.scores, t, i)
    expected = stats.norm.logpdf(
        target.scores[t, i], inside.mean(), math.sqrt(pooled(full, full.scores, t, 0))
    ) - stats.norm.logpdf(target.scores[t, i], outside.mean(), math.sqrt(pooled(full, full.scores, t, 1)))
    np.testing.assert_allclose(ours[t, i], expected, **ROUNDING)


@pytest.mark.parametrize("gamma", [1.0, 2.0])
@pytest.mark.parametrize("mode", ["online", "offline"])
@pytest.mark.parametrize("task", TASKS)
def test_rmia(task, mode, gamma, rng):
    table = planted(rng, task=task, n=18)
    logp = log_likelihood(table)
    p = np.exp(logp)
    a = 0.33
    ours = rmia_scores(table, mode=mode, gamma=gamma, a=a)
    for t in range(len(p)):
        ratio = np.empty(p.shape[1])
        for i in range(p.shape[1]):
            inside, outside = split(table, p, t, i)
            marginal = (inside.mean() + outside.mean()) / 2
            if mode == "offline":
                marginal = ((1 + a) * outside.mean() + (1 - a)) / 2
            ratio[i] = p[t, i] / marginal
        naive = np.array([np.mean([ratio[i] / z >= gamma * (1 - 1e-12) for z in ratio]) for i in range(len(ratio))])
        np.testing.assert_allclose(ours[t], naive, atol=2e-9)


def test_rmia_likelihood_of_a_regressor_is_gaussian_up_to_its_peak(rng):
    table = planted(rng, task="regression", n=18)
    noise = table.released.mean()
    np.testing.assert_allclose(log_likelihood(table), -(table.scores**2) / (2 * noise), **ROUNDING)


@pytest.mark.parametrize("task", TASKS)
def test_calibrated(task, rng):
    table = planted(rng, task=task, n=18)
    losses = table.released
    naive = every(table, lambda t, i: split(table, losses, t, i)[1].mean() - losses[t, i])
    np.testing.assert_allclose(calibrated_scores(table), naive, **ROUNDING)


def test_classwise_thresholds(rng):
    """Song and Mittal: per class the threshold that separates best on the known records; here by trying them all."""
    table = planted(rng, n=120, classes=2)
    scores, members, labels = -table.released[0], table.members[0], np.asarray(table.targets)
    half = np.arange(120) < 60
    ours, small = classwise_scores(scores, members, labels, half)
    assert small == 0
    for known, judged in ((half, ~half), (~half, half)):
        for label in (0, 1):
            here = known & (labels == label)

            def gain(limit, here=here):
                accused = scores[here] > limit
                return accused[members[here]].mean() - accused[~members[here]].mean()

            limit = (scores - ours)[judged & (labels == label)]
            assert np.ptp(limit) < 1e-12
            assert gain(limit[0]) >= max(gain(t) for t in scores[here]) - 1e-12


def test_white_box_is_a_bivariate_gaussian_likelihood_ratio(rng):
    table = planted(rng, n=15)
    pair = [table.scores / table.scores.std(), table.whitebox / table.whitebox.std()]
    ours = whitebox_scores(table)
    t = 4
    sides = []
    for side in (0, 1):
        deviations = [[], []]
        for which in (0, 1):
            for i in range(15):
                values = split(table, pair[which], t, i)[side]
                deviations[which].extend(values - values.mean())
        freedom = len(deviations[0]) - 15
        sides.append(np.array(deviations) @ np.array(deviations).T / freedom)
    for i in range(15):
        x = [pair[0][t, i], pair[1][t, i]]
        logs = [
            stats.multivariate_normal.logpdf(x, [split(table, p, t, i)[side].mean() for p in pair], sides[side])
            for side in (0, 1)
        ]
        np.testing.assert_allclose(ours[t, i], logs[0] - logs[1], **ROUNDING)


def test_the_comparison_catches_an_attack_that_keeps_the_complement_as_shadow(rng, monkeypatch):
    table = planted(rng, n=20, models=14)
    monkeypatch.setattr(Shadows, "excluded", lambda _, target: [target])
    assert np.abs(lira_scores(table) - naive_lira(table, "fixed", "online")).max() > 1e-3


def test_the_comparison_catches_a_swapped_density(rng, monkeypatch):
    table = planted(rng, n=20, models=14)
    monkeypatch.setattr(lira_room, "_log_normal", lambda x, mean, variance: (x - mean) ** 2 / (2 * variance))
    assert np.abs(lira_scores(table) - naive_lira(table, "fixed", "online")).max() > 1e-3


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_taking_the_target_off_the_sums_loses_no_digits(shift, rng):
    table = planted(rng, n=20, models=14)
    far = type(table)(**{**vars(table), "scores": table.scores + shift})
    np.testing.assert_allclose(lira_scores(far), naive_lira(table, "fixed", "online"), rtol=1e-6, atol=1e-6)
