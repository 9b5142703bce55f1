"""scikit-learn's multilayer perceptrons as torch modules that give the same outputs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from leaq.errors import InvalidInput, UnsupportedModel

__all__ = ["Converted", "from_sklearn", "is_sklearn"]

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

    def __init__(self, module: nn.Module, before: Sequence[Any], classes: npt.NDArray[Any] | None) -> None:
        self.module = module
        self._before = before
        self._classes = classes

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
        for step in self._before:
            x = step.transform(x)
        x = x.toarray() if hasattr(x, "toarray") else np.asarray(x)
        inputs = torch.tensor(np.asarray(x, dtype=np.float64))
        if self._classes is None:
            return inputs, torch.tensor(np.asarray(y, dtype=np.float64))
        labels = np.asarray(y)
        codes = np.searchsorted(self._classes, labels).clip(max=len(self._classes) - 1)
        if not (self._classes[codes] == labels).all():
            unknown = sorted({str(label) for label in labels[self._classes[codes] != labels]})
            raise InvalidInput(f"{name}: labels must be among the fitted classes. Found {', '.join(unknown[:3])}.")
        return inputs, torch.tensor(codes.astype(np.int64))


def from_sklearn(estimator: Any) -> Converted:
    """Turn a fitted MLPClassifier or MLPRegressor (or a Pipeline that ends in one) into a torch network.

    Raises
    ------
    UnsupportedModel
        For other estimators, several labels a record, or one that is not fitted.
    """
    before: Sequence[Any] = ()
    if type(estimator).__name__ == "Pipeline":
        before = [step for _, step in estimator.steps[:-1] if step not in ("passthrough", None)]
        estimator = estimator.steps[-1][1]
    kind = type(estimator).__name__
    if kind not in ("MLPClassifier", "MLPRegressor"):
        raise UnsupportedModel(
            f"Of scikit-learn, MLPClassifier and MLPRegressor (and pipelines that end in one) have weights to quantize "
            f"here. Found {kind}."
        )
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
        linear = nn.Linear(weight.shape[0], weight.shape[1], dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(np.asarray(weight, dtype=np.float64).T))
            linear.bias.copy_(torch.tensor(np.asarray(bias, dtype=np.float64)))
        layers += [linear, _ACTIVATIONS[estimator.activation]()]
    module = nn.Sequential(*layers[:-1]).eval()
    return Converted(module, before, getattr(estimator, "classes_", None))
