import numpy as np
import pytest

from leaq.attacks.base import Context
from leaq.attacks.quantile import Quantile
from leaq.attacks.threshold import Threshold
from leaq.errors import InvalidInput, NotEnoughEvidence
from tests.attack_tables import planted, with_


def test_it_finds_what_stands_out_from_its_like(rng):
    """Difficulty is a function of the features: the regression takes it out without any shadow."""
    x = rng.normal(size=(400, 2))
    table = planted(rng, n=400, models=2, leak=0.0)
    scores = 3 * x[:, 0] + rng.normal(size=(2, 400)) + 2 * table.members
    table = with_(table, scores=scores, losses=np.logaddexp(0, -scores)[:, None])
    found = Quantile()(table, features=x)
    assert found.auc.value > Threshold()(table).auc.value + 0.05
    assert "no shadow models" in found.attacker


def test_wrong_features_and_few_records_are_refused(rng):
    for features in (np.zeros((5, 2)), np.full((60, 2), np.nan), np.zeros(60)):
        with pytest.raises(InvalidInput, match="finite array with 60 rows"):
            Quantile()(planted(rng), features=features)
    with pytest.raises(NotEnoughEvidence, match="at least 50 known non-members"):
        Quantile()(planted(rng), features=np.zeros((60, 2)))


def test_four_models_are_attacked_at_most(rng):
    table = planted(rng, n=240, models=12)
    context = Context(table, features=rng.normal(size=(240, 1)), targets=[3, 5, 7, 9, 11])
    assert Quantile().attacked(context) == [3, 5, 7, 9]
    assert Quantile().attack(context).auc.n == 4 * 240


def test_wide_features_are_projected(rng):
    x = rng.normal(size=(400, 80))
    table = planted(rng, n=400, models=2, leak=0.0)
    scores = Quantile().scores(Context(table, features=x), [0])
    assert np.isfinite(scores).all()
    assert scores.std() > 0.1
