"""Compared with what? Classical models on the same records, attacked with shadows of their own kind.

A forest, gradient boosting and nearest neighbours are what a network is chosen over. Each is trained on the very
members of every network, and every one is a target and the others' shadow. They are not quantized, and attackers see
their outputs alone: what their files hold is no weight, and nearest neighbours are their training records.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, PositiveInt

from leaq.config import Named, Registry, split_specs
from leaq.errors import InvalidInput
from leaq.models.nets.layout import GRAPHS
from leaq.models.tables import Judge
from leaq.results import Size
from leaq.seeds import stream
from leaq.types import Bools, Floats, LossTable, Progress, Samples, silent


class Reference(Named):
    """A classical model that is trained on each network's members."""

    label: ClassVar[str] = ""
    """Short text for tables."""

    def estimator(self, task: str, seed: int) -> Any:
        """Return the unfitted estimator."""
        raise NotImplementedError

    def outputs(self, fitted: Any, inputs: Floats, task: str) -> Floats:
        """Return logits (n, k), or predictions (n, 1)."""
        if task == "regression":
            return np.asarray(fitted.predict(inputs), np.float64)[:, None]
        # Shares of votes are 0 and 1 often, and their logarithms would not be finite: one vote a class is added.
        shares, votes = np.asarray(fitted.predict_proba(inputs), np.float64), self.votes()
        return np.asarray(np.log((shares * votes + 1) / (votes + shares.shape[1])))

    def votes(self) -> int:
        """Return how many votes a probability is a share of."""
        raise NotImplementedError

    def arrays(self, fitted: Any) -> list[Any]:
        """Return the arrays a fitted estimator consists of."""
        raise NotImplementedError


REFERENCES: Registry[Reference] = Registry("reference")


@REFERENCES.add("forest")
class Forest(Reference):
    """A random forest. Source: Breiman, "Random Forests", Machine Learning 45 (2001) 5."""

    name: ClassVar[str] = "forest"
    label: ClassVar[str] = "random forest"
    trees: PositiveInt = 200
    """Number of trees."""
    leaf: PositiveInt = 1
    """Fewest records of a leaf."""

    def estimator(self, task: str, seed: int) -> Any:
        """Return scikit-learn's random forest."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        kind = RandomForestRegressor if task == "regression" else RandomForestClassifier
        # A third of the columns is the method's own choice for regression; a root for classification is the default.
        columns: Any = 1 / 3 if task == "regression" else "sqrt"
        return kind(self.trees, min_samples_leaf=self.leaf, max_features=columns, random_state=seed, n_jobs=1)

    def votes(self) -> int:
        """Return the number of trees."""
        return self.trees

    def arrays(self, fitted: Any) -> list[Any]:
        """Return every tree's nodes and values."""
        states = [tree.tree_.__getstate__() for tree in fitted.estimators_]
        return [state[part] for state in states for part in ("nodes", "values")]


@REFERENCES.add("boosting")
class Boosting(Reference):
    """Gradient boosting. Source: Friedman, "Greedy Function Approximation", Annals of Statistics 29 (2001) 1189."""

    name: ClassVar[str] = "boosting"
    label: ClassVar[str] = "gradient boosting"
    rounds: PositiveInt = 100
    """Number of trees, a class."""
    rate: float = Field(default=0.1, gt=0, le=1)
    """Part of each tree that is added."""

    def estimator(self, task: str, seed: int) -> Any:
        """Return scikit-learn's boosting over histograms."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        kind = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
        return kind(max_iter=self.rounds, learning_rate=self.rate, early_stopping=False, random_state=seed)

    def outputs(self, fitted: Any, inputs: Floats, task: str) -> Floats:
        """Return its own logits, or predictions."""
        if task == "regression":
            return super().outputs(fitted, inputs, task)
        found = np.asarray(fitted.decision_function(inputs), np.float64)
        return found if found.ndim == 2 else np.stack([np.zeros_like(found), found], axis=1)

    def arrays(self, fitted: Any) -> list[Any]:
        """Return every tree's nodes."""
        return [tree.nodes for stage in fitted._predictors for tree in stage]


@REFERENCES.add("knn")
class NearestNeighbours(Reference):
    """Nearest neighbours: the worst case, since it keeps its training records and answers by them."""

    name: ClassVar[str] = "knn"
    label: ClassVar[str] = "nearest neighbours"
    neighbours: PositiveInt = 5
    """Records that answer."""
    weights: Literal["distance", "uniform"] = "distance"
    """distance: the nearer, the more; a training record then answers for itself alone."""

    def estimator(self, task: str, seed: int) -> Any:  # noqa: ARG002 - nothing is drawn
        """Return scikit-learn's nearest neighbours."""
        from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

        kind = KNeighborsRegressor if task == "regression" else KNeighborsClassifier
        return kind(self.neighbours, weights=self.weights, n_jobs=1)

    def votes(self) -> int:
        """Return the number of neighbours."""
        return self.neighbours

    def arrays(self, fitted: Any) -> list[Any]:
        """Return the training records."""
        return [fitted._fit_X, fitted._y]


def parse_references(specs: Sequence[str]) -> tuple[Reference, ...]:
    """Build the references of some specifications, each once.

    Examples
    --------
    >>> [reference.spec() for reference in parse_references(["forest, knn(neighbours=1)", "forest"])]
    ['forest', 'knn(neighbours=1)']
    """
    return tuple(dict.fromkeys(REFERENCES.build(spec) for spec in split_specs(",".join(specs))))


def reference_table(
    reference: Reference, samples: Samples, members: Bools, *, seed: int, progress: Progress = silent
) -> tuple[LossTable, Size]:
    """Train one reference per row of `members`; return its losses on all records, and what one takes on average.

    Parameters
    ----------
    samples : embedded records, one column a feature.
    members : (s, n), those of the networks it stands beside.

    Raises
    ------
    InvalidInput
        If the records are no columns of features, or a model has fewer members than a reference needs.

    Examples
    --------
    >>> from leaq.data import load
    >>> from leaq.data.splits import halves
    >>> from leaq.embedders import embed
    >>> wine = embed(load("wine"))
    >>> table, _ = reference_table(NearestNeighbours(), wine, halves(wine, 4, seed=0), seed=0)
    >>> table.losses.shape
    (4, 1, 178)
    """
    _require(reference, samples, members)
    parts, sizes = [], []
    for model, inside in enumerate(members):
        drawn = int(stream(seed, "reference", reference.spec(), model).integers(2**31 - 1))
        found, arrays = _fitted(reference, samples, inside, seed=drawn)
        parts.append(found)
        numbers = [int(array.size * max(1, len(array.dtype.names or ()))) for array in arrays]  # a node holds several
        sizes.append((sum(array.nbytes for array in arrays), sum(numbers)))
        progress(reference.label, model + 1, len(members))
    size, held = np.mean(sizes, axis=0)
    bits = 8 * size / held
    import torch

    outputs = torch.tensor(np.stack(parts))
    table = Judge(samples).table(outputs, members, game="pool", quantizer=reference.spec())
    return table, Size(bits, bits, round(size), 1.0)


def _fitted(reference: Reference, samples: Samples, inside: Bools, *, seed: int) -> tuple[Floats, list[Any]]:
    """Fit one model, or of several targets one a task; return outputs (n, k), and the arrays it consists of."""
    inputs, outputs, arrays = samples.inputs, list[Floats](), list[Any]()
    for values, task in samples.each_target:
        rows = inside & ~np.isnan(values)
        fitted = reference.estimator(task.kind, seed).fit(inputs[rows], values[rows])
        found = reference.outputs(fitted, inputs, task.kind)
        outputs.append(found[:, 1:] - found[:, :1] if samples.tasks and len(task.classes) == 2 else found)
        arrays += reference.arrays(fitted)
    return np.concatenate(outputs, axis=1), arrays


def _require(reference: Reference, samples: Samples, members: Bools) -> None:
    if samples.inputs.ndim != 2 or samples.inputs.dtype.kind not in "fiub" or GRAPHS in samples.flags:
        raise InvalidInput(
            f"{reference.spec()}: references are trained on columns of features. Found other inputs. Embed molecules "
            "with ecfp4 or descriptors for them."
        )
    fewest = int(members.sum(1).min())
    if isinstance(reference, NearestNeighbours) and fewest < reference.neighbours:
        raise InvalidInput(f"{reference.spec()}: needs as many members as neighbours. Found {fewest}. Ask fewer.")
