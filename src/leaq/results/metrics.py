"""Task metrics: what people call them, which way they are good, and what drop most would accept. Nothing computes."""

import math
from dataclasses import dataclass

from leaq.errors import unknown_name


@dataclass(frozen=True)
class Metric:
    """A task metric as people know it: its name, and whether a larger value is better."""

    name: str
    larger_is_better: bool = True
    budget: float | None = None
    """A drop most people would accept, where that can be said at all; only the start of a slider."""
    guessing: float | None = None
    """What a guess reaches, where that does not depend on the data."""
    bounds: tuple[float, float] = (-math.inf, math.inf)
    """The smallest and the largest value there is."""

    @property
    def worsening(self) -> str:
        """What a change for the worse is called: a loss of what should be large, a rise of what should be small."""
        return "loss" if self.larger_is_better else "rise"


_METRICS = {
    "roc_auc": Metric("ROC-AUC", budget=0.01, guessing=0.5, bounds=(0, 1)),
    "pr_auc": Metric("PR-AUC", budget=0.01, bounds=(0, 1)),
    "accuracy": Metric("accuracy", budget=0.01, bounds=(0, 1)),
    "balanced_accuracy": Metric("balanced accuracy", budget=0.01, bounds=(0, 1)),
    "r2": Metric("R²", budget=0.02, guessing=0.0, bounds=(-math.inf, 1)),
    "spearman": Metric("Spearman correlation", budget=0.02, guessing=0.0, bounds=(-1, 1)),
    "skill": Metric("mean skill", budget=0.02, guessing=0.0, bounds=(-math.inf, 1)),
    "rmse": Metric("RMSE", larger_is_better=False, bounds=(0, math.inf)),
    "mae": Metric("MAE", larger_is_better=False, bounds=(0, math.inf)),
    "log_loss": Metric("log loss", larger_is_better=False, bounds=(0, math.inf)),
    "loss": Metric("held-out loss", larger_is_better=False),
    "perplexity": Metric("perplexity", larger_is_better=False, bounds=(1, math.inf)),
}


def metric(key: str) -> Metric:
    """Return the name and direction of a task metric; unknown ones keep their key."""
    return _METRICS.get(key, Metric(key.replace("_", " ")))


def metric_named(name: str) -> Metric:
    """Return a task metric by the name people call it; an unknown one is better the larger it is.

    Examples
    --------
    >>> metric_named("RMSE").worsening, metric_named("R²").worsening
    ('rise', 'loss')
    """
    return next((known for known in _METRICS.values() if known.name == name), Metric(name))


def metric_key(text: str) -> str:
    """Return the key of a metric given by key or by name.

    Examples
    --------
    >>> metric_key("ROC-AUC"), metric_key("rmse")
    ('roc_auc', 'rmse')

    Raises
    ------
    UnknownName
        If no metric is called so: its direction would be a guess.
    """
    for key, known in _METRICS.items():
        if text.casefold() in (key, known.name.casefold()):
            return key
    raise unknown_name("metric", text, _METRICS)
