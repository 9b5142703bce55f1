"""The combined attack: it gains by what helps, pays little for what does not, and learns from nobody it attacks."""

import numpy as np
import pytest

from leaq.attacks import combined as room
from leaq.attacks.base import Context
from leaq.attacks.combined import Combined, _folds
from leaq.attacks.lira import Lira
from leaq.attacks.scoring import Resampling
from leaq.attacks.whitebox import WhiteBox
from leaq.config import ConfigError
from leaq.stats.roc import auc
from leaq.types import NotComputed
from tests.attack_tables import planted, with_

OUTPUTS, FILE = Combined(sees="outputs"), Combined()


def areas(table, attack, targets=None):
    targets = range(len(table.members)) if targets is None else targets
    scores = attack.scores(Context(table), targets)
    return np.mean([auc(row, table.members[t]) for row, t in zip(scores, targets, strict=True)])


def test_signals_of_noise_cost_little(rng):
    """Four signals more, none of which knows anything: cross-fitted weights leave them near 0."""
    table = planted(rng, n=300, models=16)
    noise = with_(table, whitebox=rng.normal(size=(16, 300, 4)))
    alone = areas(noise, OUTPUTS)
    assert areas(noise, FILE) > alone - 0.015
    assert alone > areas(table, Lira()) - 0.015
    assert areas(noise, FILE) > areas(noise, WhiteBox())


def test_signals_that_tell_more_are_used(rng):
    table = planted(rng, n=300, models=16)
    more = with_(table, whitebox=table.whitebox + table.members[:, :, None])
    assert areas(more, FILE) > areas(more, OUTPUTS) + 0.05
    assert areas(more, FILE) > areas(more, WhiteBox())


def test_codes_are_read_where_asked_for_and_only_there(rng):
    table = planted(rng, n=300, models=16)
    told = with_(table, numbers={"codes.energy": rng.normal(size=(16, 300)) + 2 * table.members})
    assert areas(told, FILE) == areas(table, FILE)
    assert areas(told, Combined(codes=True)) > areas(told, FILE) + 0.05
    noise = with_(table, numbers={"codes.energy": rng.normal(size=(16, 300))})
    assert areas(noise, Combined(codes=True)) > areas(table, FILE) - 0.015
    with pytest.raises(ConfigError, match="sees=outputs does not see"):
        Combined(sees="outputs", codes=True)


def test_what_normalising_blurs_is_read_from_raw_signals(rng):
    """Members' residuals are next to 0 in every model; predictions of the others stretch by a factor of its own."""
    table = planted(rng, n=300, models=16, leak=0.0, task="regression")
    stretch = np.exp(0.5 * rng.normal(size=(16, 1)))
    others = table.targets * (1 - stretch) + 0.3 * rng.normal(size=table.members.shape)
    scores = np.where(table.members, 0.1 * rng.normal(size=table.members.shape), others)
    blurred = with_(table, scores=scores, losses=(scores**2)[:, None])
    raw, normalised = areas(blurred, Lira(normalise=False)), areas(blurred, Lira())
    assert raw > normalised + 0.03
    assert areas(blurred, OUTPUTS) > raw - 0.01


def test_a_common_move_of_all_outputs_costs_nothing(rng):
    table = planted(rng, n=300, models=16)
    moved = with_(table, scores=table.scores + 10 * rng.normal(size=(16, 1)))
    assert areas(moved, Lira(normalise=False)) < areas(table, OUTPUTS) - 0.05
    assert areas(moved, OUTPUTS) > areas(table, OUTPUTS) - 0.015


def test_noise_alone_finds_nothing(rng):
    """What weights gain by chance on their own models counts for nothing on the attacked ones."""
    table = with_(planted(rng, n=100, leak=0.0), whitebox=rng.normal(size=(12, 100, 6)))
    assert abs(areas(table, FILE) - 0.5) < 0.05


def test_eight_models_are_needed_and_enough(rng):
    few = OUTPUTS.run(Context(planted(rng, models=6, n=100)))
    assert isinstance(few, NotComputed)
    assert "combined(sees=outputs) needs at least 8 models in complementary pairs" in few.reason
    assert "Found 4 beside the targets" in few.reason
    found = OUTPUTS(planted(rng, models=8, n=100, leak=2.0), resampling=Resampling(draws=20))
    assert found.auc.low > 0.6


def test_without_statistics_of_the_weights_the_file_tells_what_outputs_do(rng):
    bare = Context(with_(planted(rng), whitebox=None))
    np.testing.assert_array_equal(FILE.scores(bare, [0, 1]), OUTPUTS.scores(bare, [0, 1]))
    assert "of which it uses outputs;" in FILE.knows(bare)
    assert "loss gradients" in FILE.knows(Context(planted(rng)))


def test_models_that_are_left_out_are_attacked_by_the_others(rng):
    """A model judged by shadows it is not among: all left-out pairs at once, by weights of the same other models."""
    table = planted(rng, n=200, models=16, leak=2.0)
    out = [12, 13, 14, 15]
    scores = OUTPUTS.scores(Context(table), [12, 14], out)
    for row, target in zip(scores, (12, 14), strict=True):
        assert auc(row, table.members[target]) > 0.75
    alone = OUTPUTS.scores(Context(table), [14], out)
    np.testing.assert_allclose(alone[0], scores[1], rtol=1e-9, atol=1e-12)


def test_every_wanted_pair_is_in_one_fold_and_no_other_pair_is():
    usable = np.array([0, 1, 2, 4, 5, 7])
    folds = [fold.tolist() for fold in _folds(usable, np.array([1, 3, 5, 6]))]
    assert sorted(pair for fold in folds for pair in fold) == [1, 3, 5, 6]
    assert [3, 6] in folds
    assert [1, 5] in [fold.tolist() for fold in _folds(np.array([0, 1, 2, 3, 4, 5]), np.array([1, 5]))]
    assert [fold.tolist() for fold in _folds(usable, usable)] == [[0, 5], [1, 7], [2], [4]]
    assert [fold.tolist() for fold in _folds(usable, np.array([2]))] == [[2]]


def test_a_lone_target_is_attacked_with_weights_learnt_on_all_its_shadows(rng, monkeypatch):
    """Five codes, the released model's and four of pairs of shadows: none of these is set aside beside it."""
    learnt_on = []
    monkeypatch.setattr(
        room,
        "_learnt",
        lambda evidence, pairs, known, *rest, real=room._learnt, **more: (
            learnt_on.append(known.tolist()) or real(evidence, pairs, known, *rest, **more)
        ),
    )
    table = planted(rng, n=100, models=10, leak=2.0).of([0, *range(2, 10)])
    areas(table, OUTPUTS, [0])
    assert learnt_on == [[1, 2, 3, 4]]


def test_the_weights_are_learnt_from_a_bounded_number_of_rows(rng, monkeypatch):
    seen = []

    def fit(x, y, *, strength, real=room.ridge_logistic):
        seen.append(len(x))
        return real(x, y, strength=strength)

    monkeypatch.setattr(room, "ridge_logistic", fit)
    table = planted(rng, n=100, leak=2.0)
    whole = areas(table, OUTPUTS, [0])
    monkeypatch.setattr(room, "ROWS", 250)
    assert areas(table, OUTPUTS, [0]) == pytest.approx(whole, abs=0.1)
    assert seen[0] == 10 * 100
    assert seen[1] <= 250


def test_what_outputs_say_is_found_once_for_both_attackers(rng, monkeypatch):
    """The scores of who holds the file are to the last digit the attack alone; other exclusions are others'."""
    table, fits = planted(rng, n=200, models=12), []
    monkeypatch.setattr(
        room, "predictive", lambda known, real=room.predictive: fits.extend(known.mean_in) or real(known)
    )
    targets = range(12)
    alone = FILE.scores(Context(table), targets)
    needed, context = len(fits), Context(table)
    OUTPUTS.scores(context, targets)
    before = len(fits)
    np.testing.assert_array_equal(FILE.scores(context, targets), alone)
    assert len(fits) - before < needed
    assert not np.array_equal(FILE.scores(context, [0, 1], [4, 5]), alone[:2])
    np.testing.assert_array_equal(FILE.scores(context, [0, 1], [4, 5]), FILE.scores(Context(table), [0, 1], [4, 5]))


def test_what_does_not_fit_is_not_kept(rng, monkeypatch):
    table = planted(rng, n=200, models=12)
    monkeypatch.setattr(room, "SHARED", 2000)
    context = Context(table)
    scores = OUTPUTS.scores(context, range(12))
    assert not any(key[0] == "evidence" for key in context.shared)
    np.testing.assert_array_equal(FILE.scores(context, range(12)), FILE.scores(Context(table), range(12)))
    assert scores.shape == (12, 200)
