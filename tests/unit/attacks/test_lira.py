"""What LiRA refuses, and what it must find."""

import numpy as np
import pytest

from leaq.attacks.base import Context
from leaq.attacks.lira import Lira, adaptive_gap
from leaq.attacks.scoring import Resampling, area_gap
from leaq.attacks.threshold import Threshold
from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.types import NotComputed
from tests.attack_tables import planted, with_


def test_shadows_take_out_the_difficulty_a_threshold_cannot(rng):
    table = planted(rng, leak=1.0, n=400, models=16)
    assert Lira()(table).auc.low > Threshold()(table).auc.high


def test_a_regression_is_refused_by_a_classification_score(rng):
    table = with_(planted(rng), task="regression")
    with pytest.raises(InvalidInput, match="a regression needs score_kind='residual'. Found 'margin'"):
        Lira()(table)


def test_not_finite_logits_name_the_model(rng):
    table = planted(rng)
    scores = table.scores.copy()
    scores[2, 5] = np.nan
    with pytest.raises(InvalidInput, match=r"scores must be finite. Found 1 \(nan at \[2"):
        Lira()(with_(table, scores=scores))


def test_losses_alone_are_not_enough(rng):
    table = with_(planted(rng), scores=None)
    with pytest.raises(NotEnoughEvidence, match=r"lira needs scores of every record \(margins or residuals\)"):
        Lira()(table)


def test_shadows_of_other_models_are_refused(rng):
    with pytest.raises(InvalidInput, match="same models and records"):
        Lira(shadows="full_precision")(planted(rng), reference=planted(rng))


def test_a_variance_per_record_is_not_computed_with_one_shadow_on_a_side(rng):
    table = planted(rng, models=8, n=200)
    members = table.members.copy()
    members[:, 7] = np.arange(8) < 2
    table = with_(table, members=members)
    found = Lira(variance="per_record").run(Context(table))
    assert isinstance(found, NotComputed)
    assert "at least 2 shadows in and 2 out" in found.reason
    assert Lira()(table).auc.value > 0.5


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_normalising_takes_out_what_moves_a_whole_model(mode, rng):
    """Every model is moved by 3 standard deviations; LiRA as published takes that for noise."""
    table = planted(rng, n=300, models=16)
    moved = with_(table, scores=table.scores + 3 * rng.normal(size=(16, 1)))
    ours, published = (Lira(mode=mode, normalise=n).scores(Context(moved), range(16)) for n in (True, False))
    assert area_gap(moved, ours, published, targets=range(16), resampling=Resampling()).low > 0.02


def test_full_precision_shadows_find_less_after_a_change_they_do_not_know(rng):
    reference = planted(rng, n=300, models=16, leak=1.5)
    table = with_(reference, scores=reference.scores + 3 * rng.normal(size=300))
    unaware = Lira(shadows="full_precision")(table, reference=reference)
    assert unaware.auc.high < Lira()(table).auc.low
    assert "not the quantizer" in unaware.attacker
    assert "14 full-precision shadow models" in unaware.attacker


def test_full_precision_shadows_are_misled_by_an_offset_a_record(rng):
    reference = planted(rng, n=300, models=16, leak=1.5)
    table = with_(reference, scores=reference.scores + 3 * rng.normal(size=300))
    assert adaptive_gap(Context(table, reference)).low > 0.05
    assert adaptive_gap(Context(table, reference), normalise=False).low > 0.05


@pytest.mark.parametrize("normalise", [True, False])
def test_without_a_change_there_is_no_gap(normalise, rng):
    table = planted(rng)
    same = adaptive_gap(Context(table, table), normalise=normalise)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(("offset", "left"), [(0.0, 1e-12), (1.0, 0.02)])
def test_normalising_closes_the_gap_of_a_common_move(offset, left, rng):
    """A quantizer that shrinks all margins and moves classes apart: only the careless audit misses much."""
    reference = planted(rng, n=300, models=16, leak=1.5)
    table = with_(reference, scores=0.3 * reference.scores + 1 + offset * (np.arange(300) % 3))
    assert abs(adaptive_gap(Context(table, reference)).value) < left
    assert adaptive_gap(Context(table, reference), normalise=False).low > 0.05


def test_the_interval_is_paired_and_counts_all_pairs(rng):
    reference = planted(rng, n=100)
    table = with_(reference, scores=reference.scores + 0.1 * rng.normal(size=reference.scores.shape))
    found = adaptive_gap(Context(table, reference, targets=range(6)))
    assert found.n == 6 * 100
    assert found.high - found.low < 0.05
    assert "paired" in found.method


def test_too_few_models_leave_it_out(rng):
    table = planted(rng, models=4)
    found = adaptive_gap(Context(table, table))
    assert isinstance(found, NotComputed)
    assert "at least 4 shadow models" in found.reason


def test_without_a_reference_it_is_left_out(rng):
    found = adaptive_gap(Context(planted(rng)))
    assert isinstance(found, NotComputed)
    assert "same models in full precision" in found.reason
