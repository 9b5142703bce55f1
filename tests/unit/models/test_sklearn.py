import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression, Ridge, SGDClassifier, SGDRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import leaq
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


@pytest.mark.parametrize("classes", [2, 3])
def test_logistic_regression_gives_its_own_probabilities(rng, classes):
    x, y = rng.normal(size=(60, 4)), np.array(["a", "b", "c"])[np.arange(60) % classes]
    model = make_pipeline(StandardScaler(), make_pipeline(MinMaxScaler(), LogisticRegression())).fit(x, y)
    converted = from_sklearn(model)
    inputs, codes = converted.records((x, y), "members")
    with torch.no_grad():
        logits = converted.module(inputs)
    found = logits.softmax(1) if classes == 3 else torch.cat([1 - logits.sigmoid(), logits.sigmoid()], 1)
    np.testing.assert_allclose(found.numpy(), model.predict_proba(x), rtol=1e-9)
    assert (model.classes_[codes] == y).all()


@pytest.mark.parametrize("model", [
    Ridge(), LinearRegression(), Lasso(alpha=0.01), SGDRegressor(random_state=0),
    GridSearchCV(make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": [0.1, 1.0]}, cv=2),
    make_pipeline(StandardScaler(), GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=2)),
], ids=lambda model: type(model).__name__)  # fmt: skip
def test_linear_models_searches_and_frames(rng, model):
    x = pd.DataFrame(rng.normal(5, 3, size=(60, 4)), columns=list("abcd"))
    y = pd.DataFrame({"y": x["a"] + rng.normal(size=60)})
    model = model.fit(x, y["y"])
    converted = from_sklearn(model)
    inputs, targets = converted.records((x, y), "members")
    with torch.no_grad():
        np.testing.assert_allclose(converted.module(inputs).numpy()[:, 0], model.predict(x), rtol=1e-9)
    assert targets.shape == (60,)


def test_a_search_over_networks_is_audited(rng):
    x = rng.normal(size=(80, 4))
    y = np.where(x[:, 0] > 0, "yes", "no")
    search = GridSearchCV(MLPClassifier(max_iter=10, random_state=0), {"hidden_layer_sizes": [(4,), (6,)]}, cv=2)
    search = fitted(make_pipeline(StandardScaler(), search), x[:40], y[:40])
    result = leaq.audit(search, members=(x[:40], y[:40]), nonmembers=(x[40:], y[40:]), quantizers="sign", draws=20)
    assert result.rows[0].metrics["accuracy"].value == pytest.approx(search.score(x[40:], y[40:]))


def test_columns_and_targets_in_another_order_are_refused_in_a_line(rng):
    x = pd.DataFrame(rng.normal(size=(80, 3)), columns=list("abc"))
    model = Ridge().fit(x[:40], x["a"][:40])
    ask = {"nonmembers": (x[40:], x["a"][40:]), "quantizers": "none", "draws": 20}
    with pytest.raises(
        InvalidInput, match="members: the estimator must run on the records given. It raised ValueError"
    ):
        leaq.audit(model, members=(x[["c", "b", "a"]][:40], x["a"][:40]), **ask)
    with pytest.raises(InvalidInput, match="members: records and targets must stand in one order"):
        leaq.audit(model, members=(x[:40], x["a"][:40][::-1]), **ask)


def test_predictions_that_do_not_follow_from_the_weights_are_refused(rng):
    x, y = rng.normal(size=(60, 4)), np.arange(60) % 2
    model = LogisticRegression().fit(x, y)
    converted = from_sklearn(model)
    model.predict_proba = lambda rows: np.full((len(rows), 2), 0.5)
    with pytest.raises(UnsupportedModel, match="predictions must follow from its weights alone"):
        converted.records((x, y), "members")
    separate = LogisticRegression(solver="liblinear")
    with pytest.raises((UnsupportedModel, ValueError), match="several classes must share one softmax|liblinear"):
        from_sklearn(separate.fit(x, np.arange(60) % 3))


def test_a_poisson_regressor_is_refused(rng):
    try:
        model = MLPRegressor(loss="poisson", hidden_layer_sizes=(3,), max_iter=5)
    except TypeError:
        pytest.skip("this scikit-learn has no Poisson loss")
    with pytest.raises(UnsupportedModel, match="must be the network.s outputs themselves"):
        from_sklearn(fitted(model, rng.normal(size=(30, 2)), rng.poisson(2, size=30)))


def test_other_unfitted_and_multilabel_estimators_are_refused(rng):
    with pytest.raises(UnsupportedModel, match="linear models .*Found KNeighborsClassifier"):
        from_sklearn(KNeighborsClassifier())
    with pytest.raises(UnsupportedModel, match="LogisticRegression: the estimator must be fitted"):
        from_sklearn(LogisticRegression())
    with pytest.raises(UnsupportedModel, match="the search must be fitted and keep its best model"):
        from_sklearn(GridSearchCV(LogisticRegression(), {"C": [1]}))
    with pytest.raises(UnsupportedModel, match="must give probabilities. Found loss='hinge'"):
        from_sklearn(SGDClassifier().fit(rng.normal(size=(30, 2)), np.arange(30) % 2))
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
