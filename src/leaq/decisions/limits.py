"""What a released model must keep to: options of the command line, had without anything that computes."""

from typing import ClassVar

from pydantic import ConfigDict

from leaq.config import Config
from leaq.errors import InvalidInput
from leaq.results.metrics import Metric

TITLE = "Limits, for CI: exit code 1 if one is not kept"


class Limits(Config):
    """What a released model must keep to, each at the worse end of an interval.

    Examples
    --------
    >>> Limits(max_advantage=0.1).given, Limits().given
    (True, False)
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(title=TITLE)

    max_advantage: float | None = None
    """Largest acceptable advantage of any attack, at its upper limit."""
    min_metric: float | None = None
    """Smallest acceptable task metric, at its lower limit; for metrics of which more is better."""
    max_metric: float | None = None
    """Largest acceptable task metric, at its upper limit; for RMSE, losses and the like."""
    metric: str | None = None
    """Which metric, by key or name, e.g. accuracy; by default the primary one, ROC-AUC or R²."""
    require: tuple[str, ...] = ("default",)
    """Attacks, by name or family, without which no advantage passes; none: whatever was run. By default those of a
    standard audit."""

    @property
    def given(self) -> bool:
        """Whether there is any limit."""
        return any(one is not None for one in (self.max_advantage, self.min_metric, self.max_metric))


def checked_drop(drop: float, metric: Metric) -> float:
    """Return by how much a metric may fall, if that is a number from 0 to all there is of it.

    Raises
    ------
    InvalidInput
        If it is not.

    Examples
    --------
    >>> from leaq.results.metrics import metric
    >>> checked_drop(0.02, metric("roc_auc"))
    0.02
    """
    low, high = metric.bounds
    if not 0 <= drop < float("inf"):
        raise InvalidInput(f"The largest acceptable drop must be 0 or more. Found {drop!r}. Give e.g. 0.02.")
    if drop > high - low:
        raise InvalidInput(
            f"The largest acceptable drop of {metric.name} must be at most {high - low:g}, which is all there is. "
            f"Found {drop:g}. Per cent are hundredths: 2 % is 0.02."
        )
    return drop
