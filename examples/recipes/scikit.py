"""A scikit-learn training of one's own, scaler and all: ``--recipe examples/recipes/scikit.py:train``.

leaq audit breast_cancer --recipe examples/recipes/scikit.py:train --jobs 2
"""

from typing import Any

from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def train(records: Any, seed: int) -> Any:
    """Return a fitted pipeline; its scaler is released with the network, and the file attack reads it."""
    network = MLPClassifier(hidden_layer_sizes=(32,), max_iter=300, tol=0.0, n_iter_no_change=300, random_state=seed)
    return make_pipeline(StandardScaler(), network).fit(records.inputs, records.targets)
