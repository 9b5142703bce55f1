import numpy as np
import pytest

from leaq.attacks.risk import Exposure, effect_size, exposure, last_identified
from leaq.errors import NotEnoughEvidence
from leaq.types import LossTable
from tests.attack_tables import planted


def test_effect_size_is_the_standardised_difference_of_means(rng):
    table = planted(rng, n=10)
    found = effect_size(table.scores, table.members)
    for i in range(10):
        inside, outside = table.scores[table.members[:, i], i], table.scores[~table.members[:, i], i]
        squares = ((inside - inside.mean()) ** 2).sum() + ((outside - outside.mean()) ** 2).sum()
        assert found[i] == pytest.approx(abs(inside.mean() - outside.mean()) / np.sqrt(squares / 10))


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_planted_records_are_identified_and_no_others(task, rng):
    table = planted(rng, leak=0.0, n=200, models=32, task=task)
    scores = table.scores.copy()
    scores[:, :20] += 6 * table.members[:, :20]
    found = exposure(LossTable(**{**vars(table), "scores": scores}))
    assert found.identified[:20].all()
    assert found.identified[20:].mean() < 0.05
    assert set(np.argsort(-found.effect)[:20]) == set(range(20))


def test_equal_signals_identify_nobody(rng):
    table = planted(rng)
    found = exposure(LossTable(**{**vars(table), "scores": np.ones_like(table.scores)}))
    assert not found.identified.any()
    assert (found.p_value == 1).all()


def test_one_model_on_a_side_is_refused(rng):
    with pytest.raises(NotEnoughEvidence, match="in and out of at least 2 models. Found 1"):
        exposure(planted(rng, models=2))


def test_last_quantizer_that_identifies_each_record():
    def of(*identified):
        return Exposure(np.zeros(3), np.ones(3), np.array(identified))

    found = last_identified({"full": of(True, True, False), "sign": of(False, True, False)}, ["full", "sign"])
    assert found.tolist() == [0, 1, -1]
