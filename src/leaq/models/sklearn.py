"""scikit-learn's perceptrons and linear models as torch modules that give the same outputs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from leaq.errors import InvalidInput, UnsupportedModel, some

LINEAR = ("LogisticRegression", "LinearRegression", "Ridge", "LogisticRegressionCV", "RidgeCV", "Lasso", "LassoCV",
          "ElasticNet", "ElasticNetCV", "BayesianRidge", "ARDRegression", "HuberRegressor", "TheilSenRegressor", "Lars",
          "LassoLars", "SGDRegressor", "SGDClassifier", "LinearSVR")  # fmt: skip
"""Estimators that predict coefficients times inputs plus an intercept, through no link but the logistic one."""
_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
}


def is_sklearn(model: object) -> bool:
    """Tell whether a model comes from scikit-learn, without importing it."""
    return any(base.__module__.startswith("sklearn.") for base in type(model).__mro__)


class Converted:
    """A converted estimator: the network, and what stands before and after it.

    Attributes
    ----------
    module : torch network in float64 that returns logits (classes, or one for two classes) or values.
    """

    def __init__(self, module: nn.Module, before: Sequence[Any], estimator: Any) -> None:
        self.module = module
        self.before = before
        self._estimator = estimator
        self._classes = getattr(estimator, "classes_", None)

    def records(self, data: Any, name: str) -> tuple[Tensor, Tensor]:
        """Return inputs after the pipeline's earlier steps, and targets as class codes or values.

        Raises
        ------
        InvalidInput
            If a label is none of the classes the estimator was fitted on.
        """
        if not isinstance(data, tuple | list) or len(data) != 2:
            raise InvalidInput(f"{name}: a scikit-learn model takes a pair (X, y). Found {type(data).__name__}.")
        x, y = data
        for step in self.before:
            x = step.transform(x)
        self._agree(x)
        x = x.toarray() if hasattr(x, "toarray") else np.asarray(x)
        inputs = torch.tensor(np.asarray(x, dtype=np.float64))
        labels = np.asarray(y)
        labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
        if self._classes is None:
            return inputs, torch.tensor(labels.astype(np.float64))
        codes = np.searchsorted(self._classes, labels).clip(max=len(self._classes) - 1)
        if not (self._classes[codes] == labels).all():
            unknown = sorted({str(label) for label in labels[self._classes[codes] != labels]})
            raise InvalidInput(f"{name}: labels must be among the fitted classes. Found {some(unknown)}.")
        return inputs, torch.tensor(codes.astype(np.int64))

    def _agree(self, x: Any) -> None:
        """Compare the network with the estimator on a few records: a model misread would be audited in its place."""
        few = x[:50] if not hasattr(x, "iloc") else x.iloc[:50]
        rows = torch.tensor(np.asarray(few.toarray() if hasattr(few, "toarray") else few, dtype=np.float64))
        with torch.no_grad():
            outputs = self.module(rows)
        if self._classes is None:
            ours, theirs = outputs.numpy(), np.asarray(self._estimator.predict(few))
        elif outputs.shape[1] == 1:
            ours, theirs = outputs.sigmoid().numpy(), self._estimator.predict_proba(few)[:, 1]
        else:
            ours, theirs = outputs.softmax(1).numpy(), self._estimator.predict_proba(few)
        if not np.allclose(ours, theirs.reshape(ours.shape), rtol=1e-4, atol=1e-6):
            raise UnsupportedModel(
                f"{type(self._estimator).__name__}: predictions must follow from its weights alone. On the first "
                "records they do not: the estimator was fitted in a way that is not read here."
            )


def from_sklearn(estimator: Any) -> Converted:
    """Turn a fitted scikit-learn model into a torch network of the same outputs.

    MLPClassifier and MLPRegressor; linear models with a squared or logistic loss; each alone, found by a search
    (GridSearchCV, ...), or at the end of pipelines, nested as deeply as they are.

    Raises
    ------
    UnsupportedModel
        For other estimators, several labels a record, or one that is not fitted.
    """
    before: list[Any] = []
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif type(estimator).__name__ == "Pipeline":
            before += [step for _, step in estimator.steps[:-1] if step not in ("passthrough", None)]
            estimator = estimator.steps[-1][1]
        else:
            break
    kind = type(estimator).__name__
    if kind.endswith("SearchCV"):
        raise UnsupportedModel(f"{kind}: the search must be fitted and keep its best model. Call fit, with refit=True.")
    if kind in ("MLPClassifier", "MLPRegressor"):
        module = _perceptron(estimator, kind)
    elif kind in LINEAR:
        module = _linear(estimator, kind)
    else:
        raise UnsupportedModel(
            f"Of scikit-learn, perceptrons (MLPClassifier, MLPRegressor) and linear models ({', '.join(LINEAR[:3])}, "
            f"...), alone, in a search or at the end of a pipeline, have weights to quantize here. Found {kind}. "
            "Give its predict_proba or predict instead of it: one row, attacked as it runs."
        )
    return Converted(module, before, estimator)


class Standardised(nn.Module):
    """Inputs centred and scaled, as the scalers of a pipeline do it; means and scales are released with the model."""

    def __init__(self, mean: Any, scale: Any) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(np.asarray(mean, dtype=np.float64)))
        self.register_buffer("scale", torch.tensor(np.asarray(scale, dtype=np.float64)))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the standardised inputs."""
        return (inputs - self.get_buffer("mean")) / self.get_buffer("scale")


def as_module(estimator: Any) -> nn.Module:
    """Turn a fitted scikit-learn model into one torch network, the scalers in front of it included.

    Raises
    ------
    UnsupportedModel
        As `from_sklearn`, and for pipelines with other steps than StandardScaler, MinMaxScaler, MaxAbsScaler and
        RobustScaler: what else is fitted in front of a network would be released with it and not be seen here.
    """
    converted = from_sklearn(estimator)
    return nn.Sequential(*(_scaler(step) for step in converted.before), *converted.module.children()).eval()


def _scaler(step: Any) -> Standardised:
    kind = type(step).__name__
    width = np.ones(step.n_features_in_)
    if kind == "StandardScaler":
        mean = width * 0 if step.mean_ is None or not step.with_mean else step.mean_
        return Standardised(mean, width if step.scale_ is None else step.scale_)
    if kind == "MinMaxScaler" and not step.clip:
        return Standardised(-step.min_ / step.scale_, 1 / step.scale_)
    if kind == "MaxAbsScaler":
        return Standardised(width * 0, step.scale_)
    if kind == "RobustScaler":
        mean = width * 0 if step.center_ is None else step.center_
        return Standardised(mean, width if step.scale_ is None else step.scale_)
    raise UnsupportedModel(
        "In front of a network, a pipeline may hold scalers (StandardScaler, MinMaxScaler, MaxAbsScaler, "
        f"RobustScaler). Found {kind}. Transform the records before the audit, or scale them in the recipe."
    )


def _perceptron(estimator: Any, kind: str) -> nn.Module:
    if not hasattr(estimator, "coefs_"):
        raise UnsupportedModel(f"{kind}: the estimator must be fitted. Call fit first.")
    if estimator.out_activation_ not in ("identity", "logistic", "softmax"):
        raise UnsupportedModel(
            f"{kind}: predictions must be the network's outputs themselves. Found {estimator.out_activation_!r} on top "
            "of them (a Poisson loss); fit with loss='squared_error'."
        )
    outputs = estimator.n_outputs_
    if kind == "MLPClassifier" and estimator.out_activation_ == "logistic" and outputs > 1:
        raise UnsupportedModel(f"{kind}: a record must have one label. This one was fitted on {outputs} at once.")
    layers: list[nn.Module] = []
    for weight, bias in zip(estimator.coefs_, estimator.intercepts_, strict=True):
        layers += [_layer(np.asarray(weight).T, bias), _ACTIVATIONS[estimator.activation]()]
    return nn.Sequential(*layers[:-1]).eval()


def _linear(estimator: Any, kind: str) -> nn.Module:
    """Return coefficients and intercept as one layer; classes must have logistic or softmax probabilities."""
    if not hasattr(estimator, "coef_"):
        raise UnsupportedModel(f"{kind}: the estimator must be fitted. Call fit first.")
    several = len(getattr(estimator, "classes_", ())) > 2
    if kind == "SGDClassifier" and estimator.loss != "log_loss":
        raise UnsupportedModel(
            f"{kind}: it must give probabilities. Found loss={estimator.loss!r}; fit with 'log_loss'."
        )
    separate = kind == "SGDClassifier" or getattr(estimator, "solver", "") == "liblinear"
    if several and separate:
        raise UnsupportedModel(
            f"{kind}: several classes must share one softmax. This one has a model for each class against the rest; "
            "fit LogisticRegression with another solver."
        )
    weight = np.atleast_2d(np.asarray(estimator.coef_))
    bias = np.broadcast_to(np.asarray(estimator.intercept_, dtype=np.float64), len(weight))
    return nn.Sequential(_layer(weight, bias)).eval()


def _layer(weight: Any, bias: Any) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")  # which draws no numbers
    layer.weight, layer.bias = (nn.Parameter(torch.tensor(np.asarray(one, dtype=np.float64))) for one in (weight, bias))
    return layer
