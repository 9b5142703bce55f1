import numpy as np
import pytest

from leaq.attacks.base import Context
from leaq.attacks.threshold import Threshold
from leaq.errors import NotEnoughEvidence
from tests.attack_tables import planted, with_


def test_classwise_thresholds_flag_small_classes(rng):
    few = Threshold(per="label")(planted(rng, n=60)).flags
    assert [flag.code for flag in few] == ["small-classes"]
    assert "of 72 class thresholds" in few[0].text
    assert Threshold(per="label")(planted(rng, n=300)).flags == ()


def test_classwise_thresholds_need_classes(rng):
    for table in (planted(rng, task="regression"), with_(planted(rng), targets=None)):
        with pytest.raises(NotEnoughEvidence, match=r"threshold\(per=label\) needs a classification whose classes"):
            Threshold(per="label")(table)


def test_a_threshold_a_class_finds_more_where_classes_differ_in_difficulty(rng):
    table = planted(rng, n=900, models=4)
    moved = with_(table, losses=table.losses + 5.0 * (np.arange(900) % 3))
    one, by_class = (Threshold(per=per)(moved).auc.value for per in ("model", "label"))
    assert by_class > one + 0.03
    # Nothing is lost by moving classes as wholes: each has a threshold of its own.
    assert by_class == pytest.approx(Threshold(per="label")(table).auc.value, abs=1e-9)


def test_one_model_is_enough_and_scores_are_negative_losses(rng):
    table = planted(rng, models=2)
    np.testing.assert_array_equal(Threshold().scores(Context(table), [1]), -table.released[[1]])
