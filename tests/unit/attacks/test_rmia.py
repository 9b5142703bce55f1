import numpy as np
import pytest

from leaq.attacks.base import Context
from leaq.attacks.rmia import Rmia, log_likelihood
from leaq.config import ConfigError
from tests.attack_tables import planted


def test_scores_are_shares_of_the_pool_and_ties_are_broken_by_the_ratio(rng):
    scores = Rmia(gamma=4).scores(Context(planted(rng, n=40)), [0])
    assert ((scores >= 0) & (scores < 1 + 2e-9)).all()
    assert len(np.unique(np.round(scores, 6))) < 40 == len(np.unique(scores))


def test_gamma_changes_the_scale_and_not_the_order(rng):
    context = Context(planted(rng, n=40))
    one, four = (Rmia(gamma=gamma).scores(context, [0])[0] for gamma in (1, 4))
    assert (np.argsort(one) == np.argsort(four)).all()
    assert not np.allclose(one, four)


def test_likelihoods_are_at_most_one(rng):
    for task in ("classification", "regression"):
        assert (log_likelihood(planted(rng, task=task)) <= 0).all()


@pytest.mark.parametrize(
    ("options", "text"), [({"gamma": 0.5}, "gamma: .*greater than or equal to 1"), ({"a": 2}, "a: ")]
)
def test_options_out_of_range_are_refused(options, text):
    with pytest.raises(ConfigError, match=text):
        Rmia(**options)
