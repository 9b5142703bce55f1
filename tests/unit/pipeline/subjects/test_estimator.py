import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import leaq
from leaq.errors import LeaqError
from leaq.types import AttackResult

QUICK = {"quantizers": "sign", "replicates": 8, "attacks": ["threshold", "lira"], "draws": 50}


def network():
    return make_pipeline(StandardScaler(), MLPClassifier((8,), solver="lbfgs", max_iter=40))


@pytest.fixture
def records(rng):
    x = rng.normal(size=(120, 6))
    return x, (x[:, 0] + 0.5 * rng.normal(size=120) > 0).astype(int)


@pytest.fixture(autouse=True)
def _unconverged():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_an_estimator_is_audited_whole_and_left_as_it_was(records):
    estimator = network()
    first, again = (leaq.audit(records, recipe=estimator, **QUICK) for _ in range(2))
    assert not hasattr(estimator[-1], "coefs_")
    assert estimator[-1].random_state is None
    row = first.rows[0]
    assert isinstance(row.attacks["lira"], AttackResult)
    assert row.metrics["roc_auc"].value > 0.7
    assert row.attacks["lira"].advantage == again.rows[0].attacks["lira"].advantage


def test_each_model_has_its_own_seed_and_a_recipe_of_the_same_training_gives_the_same(records):
    def train(members, seed):
        return make_pipeline(StandardScaler(), MLPClassifier((8,), solver="lbfgs", max_iter=40, random_state=seed)).fit(
            members.inputs, members.targets
        )

    by_recipe, given = (leaq.audit(records, recipe=recipe, **QUICK).rows[1] for recipe in (train, network()))
    assert by_recipe.metrics == given.metrics
    assert by_recipe.attacks["lira"].advantage == given.attacks["lira"].advantage


def test_a_released_estimator_has_shadows_fitted_like_it(records):
    x, y = records
    inside = np.zeros(len(x), bool)
    inside[::2] = True
    released = LogisticRegression(C=100).fit(x[inside], y[inside])
    found = leaq.audit((x, y), recipe=LogisticRegression(C=100), released=released, members=inside, **QUICK)
    assert "the released model, trained on 60 of them" in str(found)


def test_what_has_no_weights_is_refused_in_words(records):
    with pytest.raises(LeaqError, match="DecisionTreeClassifier"):
        leaq.audit(records, recipe=DecisionTreeClassifier(), **QUICK)
