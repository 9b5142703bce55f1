import warnings

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from leaq.errors import InvalidInput, UnsupportedModel
from leaq.models.sklearn import from_sklearn, is_sklearn


def fitted(model, x, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a few steps do not converge
        return model.fit(x, y)


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
@pytest.mark.parametrize("classes", [2, 3])
def test_logits_give_the_classifiers_own_probabilities(rng, activation, classes):
    x, y = rng.normal(size=(60, 4)), np.array(["a", "b", "c"])[np.arange(60) % classes]
    model = fitted(MLPClassifier(hidden_layer_sizes=(5,), activation=activation, max_iter=20, random_state=0), x, y)
    converted = from_sklearn(model)
    inputs, codes = converted.records((x, y), "members")
    with torch.no_grad():
        logits = converted.module(inputs).numpy()
    logits = np.c_[np.zeros(60), logits] if classes == 2 else logits
    odds = np.exp(logits)
    np.testing.assert_allclose(odds / odds.sum(1, keepdims=True), model.predict_proba(x), rtol=1e-9)
    assert (model.classes_[codes] == y).all()


def test_a_pipeline_scales_before_the_regressor(rng):
    x, y = rng.normal(5, 3, size=(60, 4)), rng.normal(size=60)
    model = fitted(
        make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(5,), max_iter=20, random_state=0)), x, y
    )
    converted = from_sklearn(model)
    inputs, targets = converted.records((x, y), "members")
    with torch.no_grad():
        np.testing.assert_allclose(converted.module(inputs).numpy()[:, 0], model.predict(x), rtol=1e-9)
    np.testing.assert_array_equal(targets.numpy(), y)


def test_a_poisson_regressor_is_refused(rng):
    try:
        model = MLPRegressor(loss="poisson", hidden_layer_sizes=(3,), max_iter=5)
    except TypeError:
        pytest.skip("this scikit-learn has no Poisson loss")
    with pytest.raises(UnsupportedModel, match="must be the network.s outputs themselves"):
        from_sklearn(fitted(model, rng.normal(size=(30, 2)), rng.poisson(2, size=30)))


def test_other_unfitted_and_multilabel_estimators_are_refused(rng):
    with pytest.raises(UnsupportedModel, match="Found LogisticRegression"):
        from_sklearn(LogisticRegression())
    with pytest.raises(UnsupportedModel, match="must be fitted"):
        from_sklearn(MLPClassifier())
    many = fitted(
        MLPClassifier(hidden_layer_sizes=(3,), max_iter=5), rng.normal(size=(30, 2)), rng.integers(2, size=(30, 2))
    )
    with pytest.raises(UnsupportedModel, match="must have one label. This one was fitted on 2 at once"):
        from_sklearn(many)


def test_unknown_labels_and_other_records_are_refused(rng):
    x = rng.normal(size=(30, 2))
    converted = from_sklearn(fitted(MLPClassifier(hidden_layer_sizes=(3,), max_iter=5), x, np.arange(30) % 2))
    with pytest.raises(InvalidInput, match="labels must be among the fitted classes. Found 7"):
        converted.records((x, np.full(30, 7)), "nonmembers")
    with pytest.raises(InvalidInput, match=r"takes a pair \(X, y\). Found ndarray"):
        converted.records(x, "members")


def test_only_scikit_learn_is_recognised():
    assert is_sklearn(MLPClassifier())
    assert not is_sklearn(torch.nn.Linear(1, 1))
