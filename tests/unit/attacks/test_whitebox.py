import numpy as np
import pytest

from leaq.attacks.base import Context
from leaq.attacks.lira import Lira
from leaq.attacks.whitebox import WhiteBox
from leaq.errors import InvalidInput, NotEnoughEvidence
from tests.attack_tables import planted, with_


def test_gradients_that_tell_more_than_outputs_are_used(rng):
    table = planted(rng, n=300, models=16)
    more = with_(table, whitebox=table.whitebox + 1.5 * table.members[:, :, None])
    assert WhiteBox()(more).auc.low > Lira()(more).auc.high


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_statistics_that_copy_each_other_add_nothing_and_break_nothing(task, rng):
    """Three times the same signal: the density is singular but for the millionth added to its variances."""
    table = planted(rng, n=100, task=task)
    copied = with_(table, whitebox=np.repeat(table.scores[:, :, None], 3, axis=2))
    found = WhiteBox().scores(Context(copied), range(12))
    assert np.isfinite(found).all()
    assert np.corrcoef(found.ravel(), Lira().scores(Context(table), range(12)).ravel())[0, 1] > 0.4


def test_only_statistics_of_the_whole_gradient_are_read(rng):
    table = planted(rng)
    other = table.whitebox.copy()
    other[:, :, 2] = rng.normal(size=other[:, :, 2].shape)
    scores = [WhiteBox().scores(Context(one), [0]) for one in (table, with_(table, whitebox=other))]
    np.testing.assert_array_equal(*scores)


def test_what_is_missing_or_not_finite_is_named(rng):
    table = planted(rng)
    with pytest.raises(NotEnoughEvidence, match="with_whitebox adds them"):
        WhiteBox()(with_(table, whitebox=None))
    broken = table.whitebox.copy()
    broken[3, 4, 1] = np.inf
    with pytest.raises(InvalidInput, match=r"whitebox must be finite. Found 1 \(inf at \[3"):
        WhiteBox()(with_(table, whitebox=broken))
