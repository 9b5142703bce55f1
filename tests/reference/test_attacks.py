"""Each attack against a naive transcription of its paper (tests/naive_attacks.py), and each comparison's control."""

from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.interpolate import BSpline

from leaq.attacks import decisions as decisions_room
from leaq.attacks import lira as lira_room
from leaq.attacks import quantile as quantile_room
from leaq.attacks import rmia as rmia_room
from leaq.attacks import threshold as threshold_room
from leaq.attacks import whitebox as whitebox_room
from leaq.attacks.base import Context
from leaq.attacks.decisions import halves_of
from leaq.attacks.hierarchical import PENALTIES, Splines, knots_of, predictive, smoothed, spline_basis
from leaq.attacks.registry import attack_families, build_attack
from leaq.attacks.rmia import log_likelihood
from leaq.attacks.scoring import Resampling
from leaq.attacks.shadows import Shadows
from leaq.attacks.signals import normalised
from leaq.attacks.threshold import Threshold, classwise_scores
from tests import naive_attacks as naive
from tests.attack_tables import planted
from tests.helpers import ROUNDING

TASKS = ["classification", "regression"]
COMPARED = {
    "threshold", "threshold(per=label)", "quantile", "calibrated(normalise=False)", "calibrated",
    "rmia(mode=offline)", "rmia", "lira(mode=offline)", "lira(shadows=full_precision, normalise=False)",
    "lira(shadows=full_precision)", "lira(normalise=False)", "lira(variance=per_record)", "lira",
    "lira(variance=hierarchical)", "whitebox", "file", "combined(sees=outputs)", "combined",
    "combined(codes=True)",
}  # fmt: skip


def test_no_attack_is_left_out():
    """Each is compared here, or where the tests of its own file stand."""
    known = set(attack_families()["all"])
    assert known >= COMPARED
    unit = Path(__file__).parents[1] / "unit" / "attacks"
    modules = {spec: type(build_attack(spec)).__module__.rpartition(".")[2] for spec in known - COMPARED}
    assert [spec for spec, module in modules.items() if not (unit / f"test_{module}.py").is_file()] == []


def scored(spec, table, reference=None, features=None):
    """Scores of every model by an attack."""
    return build_attack(spec).scores(Context(table, reference, features=features), range(len(table.members)))


def curves(level):
    """The splines of our own, which the transcription is given; they are compared by themselves."""
    splines = Splines(level[None])
    return lambda values, weights: splines.smoothed(values[None], weights[None])[0]


def with_(table, **fields):
    return type(table)(**{**vars(table), **fields})


@pytest.mark.parametrize("task", TASKS)
def test_normalised_signals(task, rng):
    table = planted(rng, task=task, n=31)
    table = with_(table, scores=table.scores * rng.uniform(0.5, 2, (12, 1)) + rng.normal(size=(12, 1)))
    np.testing.assert_allclose(normalised(table), naive.normalised(table), **ROUNDING)


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("mode", ["online", "offline"])
@pytest.mark.parametrize("task", TASKS)
def test_lira(task, mode, normalise, rng):
    table = planted(rng, task=task, n=20, models=14)
    for variance in ("fixed", "per_record"):
        ours = scored(f"lira(variance={variance}, mode={mode}, normalise={normalise})", table)
        paper = naive.lira(table, variance=variance, mode=mode, normalise=normalise)
        np.testing.assert_allclose(ours, paper, rtol=1e-9, atol=1e-10)


def test_offline_lira_orders_records_as_the_papers_p_value_does(rng):
    """The paper's offline score is Pr[Z <= x], Z the Gaussian of the shadows that did not train on the record."""
    table = planted(rng, n=20)
    ours = scored("lira(mode=offline, normalise=False)", table)[3]
    assert (np.argsort(ours) == np.argsort(stats.norm.cdf(ours))).all()


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("mode", ["online", "offline"])
def test_nonadaptive_lira_takes_its_gaussians_from_the_other_table(mode, normalise, rng):
    target = planted(rng, n=16)
    full = with_(target, scores=target.scores * 2 + 1 + rng.normal(size=target.scores.shape))
    ours = scored(f"lira(mode={mode}, shadows=full_precision, normalise={normalise})", target, full)
    paper = naive.lira(target, mode=mode, normalise=normalise, reference=full)
    np.testing.assert_allclose(ours, paper, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("gamma", [1.0, 2.0])
@pytest.mark.parametrize("mode", ["online", "offline"])
@pytest.mark.parametrize("task", TASKS)
def test_rmia(task, mode, gamma, rng):
    table = planted(rng, task=task, n=18)
    ours = scored(f"rmia(mode={mode}, gamma={gamma})", table)
    np.testing.assert_allclose(
        ours, naive.rmia(table, np.exp(log_likelihood(table)), mode=mode, gamma=gamma), atol=2e-9
    )


def test_rmia_likelihood_of_a_regressor_is_gaussian_up_to_its_peak(rng):
    table = planted(rng, task="regression", n=18)
    noise = table.released.mean()
    np.testing.assert_allclose(log_likelihood(table), -(table.scores**2) / (2 * noise), **ROUNDING)


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("task", TASKS)
def test_calibrated(task, normalise, rng):
    table = planted(rng, task=task, n=18)
    ours = scored(f"calibrated(normalise={normalise})", table)
    np.testing.assert_allclose(ours, naive.calibrated(table, normalise=normalise), **ROUNDING)


@pytest.mark.parametrize("task", TASKS)
def test_white_box_is_a_likelihood_ratio_of_three_signals(task, rng):
    table = planted(rng, n=15, task=task)
    np.testing.assert_allclose(scored("whitebox", table), naive.whitebox(table), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("models", [8, 14])
def test_hierarchical_lira_given_its_curves(models, task, rng):
    table = planted(rng, task=task, n=40, models=models)
    signals = naive.normalised(table)
    known = [naive.in_out(table, signals, t, []) for t in range(models)]
    paper = [naive.evidence(k, signals[t], curves((k.mean_in + k.mean_out) / 2))[:, 0] for t, k in enumerate(known)]
    np.testing.assert_allclose(scored("lira(variance=hierarchical)", table), paper, rtol=1e-7, atol=1e-8)


def test_all_evidence_of_the_hierarchy_given_its_curves(rng):
    table = planted(rng, n=40)
    known = Shadows(table.scores, table.members).of(0, attack="test")
    ours = predictive(known).evidence(table.scores[0])
    smooth = curves((known.mean_in + known.mean_out) / 2)
    np.testing.assert_allclose(ours, naive.evidence(known, table.scores[0], smooth), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("noise", [0.01, 1.0])
def test_the_curves_are_penalised_splines(noise, rng):
    at = rng.normal(size=80)
    values, weights = np.sin(2 * at) + noise * rng.normal(size=80), rng.uniform(0.1, 3, 80)
    knots = knots_of(at[None])[0]
    basis = spline_basis(at[None], knots[None])
    np.testing.assert_allclose(basis[0], BSpline.design_matrix(at, knots, 3).toarray(), rtol=1e-12, atol=1e-12)
    ours, slow = smoothed(basis, values[None], weights[None])[0], naive.penalised(basis[0], values, weights, PENALTIES)
    np.testing.assert_allclose(ours, slow, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("options", ["sees=outputs", "sees=file", "sees=file, codes=True"])
@pytest.mark.parametrize("task", TASKS)
def test_combined_is_stacking_on_the_other_pairs(task, options, rng):
    """The slow twin minimises by other means, both to a tolerance: log-odds of either agree to a thousandth."""
    table = planted(rng, n=20, models=12, task=task)
    signals = []
    for signed in (naive.normalised(table), table.scores):
        signals.append(signed)
        if task == "regression":
            square = signed**2
            logarithm = np.log(square + 1e-6 * square.mean(1)[:, None])
            signals.append(np.array([(row - row.mean()) / row.std() for row in logarithm]))
    if "file" in options:
        signals += naive.gradients(table, 3)
    if "codes" in options:
        table = with_(table, numbers={"codes.rare": table.members + rng.normal(size=table.members.shape)})
        signals.append(table.numbers["codes.rare"])
    ours = scored(f"combined({options})", table)
    np.testing.assert_allclose(ours, naive.combined(table, signals, curves), atol=1e-3, rtol=1e-3)


@pytest.fixture
def one_half(monkeypatch):
    """The same half of the records for every model, so that a transcription can be given it."""

    def fixed(table, half=None):
        half = halves_of(table.groups, seed=0, target=0) if half is None else half
        for room in (decisions_room, quantile_room):
            monkeypatch.setattr(room, "halves_of", lambda *_, **__: half)
        return half

    return fixed


def uneven(members):
    """17 members and 24 others, of 40 and 40: no two thresholds share an advantage a/17 - b/24, or a/23 - b/16."""
    half = np.zeros(80, bool)
    half[np.r_[np.flatnonzero(members)[:17], np.flatnonzero(~members)[:24]]] = True
    return half


@pytest.mark.parametrize("task", TASKS)
def test_loss_threshold(task, one_half, rng):
    table = planted(rng, task=task, n=80, models=2)
    half = one_half(table, uneven(table.members[0]))
    ours = Threshold()(table, resampling=Resampling(draws=10)).advantage.value
    assert ours == pytest.approx(naive.advantage_by_trying(-table.released, table.members, half), abs=1e-12)


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


def groups_of_records(rng):
    """Records that differ by their group alone, and a table of two models to attack."""
    group = rng.permutation(600) % 2
    table = planted(rng, n=600, models=2)
    return with_(table, scores=table.scores + 4 * group, targets=group), group


def test_quantile_regression_finds_the_quantiles_of_a_records_like(one_half, rng):
    """Boosting stops short of the minimum by 0.8^20 = 1 %, and quantiles of 75 values are not unique: 0.3 sd."""
    table, group = groups_of_records(rng)
    half = one_half(table)
    ours = scored("quantile", table, features=group[:, None].astype(float))
    paper = naive.quantile(table.scores, table.members, group, half)
    np.testing.assert_allclose(ours, paper, atol=0.3)
    # The paper accuses what lies above the quantile, here of level 0.9, i.e. at a false-positive rate of 10 %.
    assert ((ours > 1) == (paper > 1)).mean() > 0.98
    assert ((ours > 0) == (paper > 0)).mean() > 0.98


SHADOW_ATTACKS = {
    "lira(normalise=False)": naive.lira,
    "lira": lambda t: naive.lira(t, normalise=True),
    "lira(mode=offline)": lambda t: naive.lira(t, mode="offline", normalise=True),
    "rmia": lambda t: naive.rmia(t, np.exp(log_likelihood(t))),
    "calibrated": lambda t: naive.calibrated(t, normalise=True),
    "whitebox": naive.whitebox,
}


@pytest.mark.parametrize("attack", SHADOW_ATTACKS)
def test_the_comparison_catches_an_attack_that_keeps_the_complement_as_shadow(attack, rng, monkeypatch):
    table = planted(rng, n=15, models=14)
    monkeypatch.setattr("leaq.attacks.shadows._complements", lambda _, models, __: [[one] for one in range(models)])
    assert np.abs(scored(attack, table) - SHADOW_ATTACKS[attack](table)).max() > 1e-3


def test_the_comparison_catches_signals_that_are_not_normalised(rng):
    table = planted(rng, n=20, models=14)
    assert np.abs(scored("lira(normalise=False)", table) - naive.lira(table, normalise=True)).max() > 1e-2


def test_the_comparison_catches_a_swapped_density(rng, monkeypatch):
    table = planted(rng, n=20, models=14)
    monkeypatch.setattr(lira_room, "log_normal", lambda x, mean, variance: (x - mean) ** 2 / (2 * variance))
    assert np.abs(scored("lira(normalise=False)", table) - naive.lira(table)).max() > 1e-3


def test_the_comparison_catches_a_likelihood_that_is_no_mean_of_likelihoods(rng, monkeypatch):
    table = planted(rng, n=15)
    monkeypatch.setattr(rmia_room, "Shadows", lambda p, members: Shadows(np.log(p), members))
    assert np.abs(scored("rmia", table) - naive.rmia(table, np.exp(log_likelihood(table)))).max() > 1e-3


def test_the_comparison_catches_a_lost_determinant(rng, monkeypatch):
    table = planted(rng, n=15)
    original = whitebox_room._log_normal
    constant = cycle([1.0, 0.0])  # of the density in, then of the one out
    monkeypatch.setattr(whitebox_room, "_log_normal", lambda *args: original(*args) + next(constant))
    assert np.abs(scored("whitebox", table) - naive.whitebox(table)).max() > 0.5


def test_the_comparison_catches_a_threshold_that_is_not_the_best(one_half, rng, monkeypatch):
    table = planted(rng, n=80, models=2)
    half = one_half(table, uneven(table.members[0]))
    paper = naive.advantage_by_trying(-table.released, table.members, half)
    monkeypatch.setattr(decisions_room, "best_thresholds", lambda scores, *_: np.quantile(scores, 0.8, axis=1))
    assert abs(Threshold()(table, resampling=Resampling(draws=10)).advantage.value - paper) > 1e-3


def test_the_comparison_catches_one_threshold_for_all_classes(rng, monkeypatch):
    table = planted(rng, n=120, classes=2)
    scores, members, labels = -table.released[0], table.members[0], np.asarray(table.targets)
    monkeypatch.setattr(threshold_room, "FEWEST_OF_A_CLASS", 10**6)
    half = np.arange(120) < 60
    limits = scores - classwise_scores(scores, members, labels, half)[0]
    assert len(np.unique(np.round(limits, 12))) == 2  # one a half; a threshold a class would make four


@pytest.mark.parametrize("wrong", ["members among the known", "judged by its own half"])
def test_the_comparison_catches_a_regression_on_the_wrong_records(wrong, one_half, rng, monkeypatch):
    table, group = groups_of_records(rng)
    half = one_half(table)
    paper = naive.quantile(table.scores, table.members, group, half)
    given = table
    if wrong == "members among the known":
        given = with_(table, members=np.zeros_like(table.members))
    else:
        original = quantile_room._excess

        def own_half(x, values, _, judged, *, seed):
            return original(x, values, judged & ~table.members[0], judged, seed=seed)

        monkeypatch.setattr(quantile_room, "_excess", own_half)
    assert np.abs(scored("quantile", given, features=group[:, None].astype(float)) - paper).max() > 0.3


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_taking_the_target_off_the_sums_loses_no_digits(shift, rng):
    table = planted(rng, n=20, models=14)
    far = with_(table, scores=table.scores + shift)
    np.testing.assert_allclose(scored("lira(normalise=False)", far), naive.lira(table), rtol=1e-6, atol=1e-6)
