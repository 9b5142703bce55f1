"""How far two orders agree: Kendall's tau with an interval that carries the doubt of the ordered values.

Source: Kendall (1938), Biometrika 30:81; tau-b for ties (Kendall 1945).

Beside it a bootstrap over clusters that share records.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.lazy import special
from leaq.seeds import stream
from leaq.stats.intervals import percentile_interval
from leaq.types import Estimate, Flag, Floats

FEW = 5
"""Ordered things below which tau can take hardly any values."""


def ranked(values: Floats) -> Floats:
    """Return the ranks of (n,) values from 1; equal ones share the middle of theirs.

    Examples
    --------
    >>> ranked(np.array([3.0, 1.0, 3.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, code, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[code])


def kendall(a: Floats, b: Floats, *, tied: float = 0.0) -> Floats:
    """Return Kendall's tau-b along the last axis: (..., m), (..., m) -> (...).

    1 = same order, -1 = reversed, 0 = unrelated. Where one side is all ties there is no order to agree with, and the
    answer is `tied`: 0 by convention, NaN for who leaves such pairs out.

    Examples
    --------
    >>> float(kendall(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])))
    0.3333333333333333
    """
    upper = np.triu_indices(a.shape[-1], 1)
    first = np.sign(a[..., upper[0]] - a[..., upper[1]])
    second = np.sign(b[..., upper[0]] - b[..., upper[1]])
    scale = np.sqrt((first**2).sum(-1) * (second**2).sum(-1))
    return np.asarray(np.where(scale > 0, (first * second).sum(-1) / np.maximum(scale, 1e-300), tied))


def agreement(a: Sequence[Estimate], b: Sequence[Estimate], *, draws: int = 2000, seed: int = 0) -> Estimate:
    """Tell how far two audits put the same quantizers in the same order.

    Direction: larger = more agreement. Range: [-1, 1]; 0 for unrelated orders.
    Interval: every value is redrawn from a normal distribution as wide as its own interval, independently; so it
    covers the doubt of the values, not the choice of quantizers.
    Do not trust when there are fewer than 5 quantizers: tau then takes few values (flagged).
    """
    if len(a) != len(b):
        raise InvalidInput(f"agreement: both sides must hold the same things in order. Found {len(a)} and {len(b)}.")
    if len(a) < 2:
        raise NotEnoughEvidence(f"agreement: an order needs at least 2 things. Found {len(a)}.")
    rng = stream(seed, "rank-agreement")
    low, high = percentile_interval(kendall(_redrawn(a, draws, rng), _redrawn(b, draws, rng)), level=a[0].level)
    value = float(kendall(np.array([item.value for item in a]), np.array([item.value for item in b])))
    text = f"Rests on {len(a)} quantizers: tau can take few values."
    flags = (Flag("few-ranked", text),) if len(a) < FEW else ()
    method = "values redrawn within their intervals"
    return Estimate.spanning(value, low, high, len(a), a[0].level, "quantizers", method, flags)


def _redrawn(items: Sequence[Estimate], draws: int, rng: np.random.Generator) -> Floats:
    """Draw (draws, m) values, each as uncertain as its interval says."""
    ends = np.array([[item.value, item.low, item.high] for item in items])
    if not np.isfinite(ends).all():
        raise InvalidInput("agreement: values and intervals must be finite.")
    quantile = np.array([special.ndtri((1 + item.level) / 2) for item in items])
    spread = (ends[:, 2] - ends[:, 1]) / (2 * quantile)
    return np.asarray(ends[:, 0] + spread * rng.standard_normal((draws, len(items))))


def cluster_means(values: npt.ArrayLike, clusters: npt.ArrayLike, *, draws: int, rng: np.random.Generator) -> Floats:
    """Resampled means of (m, ...) values that come in clusters: (b, ...).

    Each draw takes as many clusters as there are, with replacement, and averages the means of the clusters. Cells of
    one data set share its records, so they are no independent evidence: the data set is the cluster.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> cluster_means([1.0, 1.0, 4.0], ["a", "a", "b"], draws=4000, rng=rng).mean().round(1)
    np.float64(2.5)
    """
    array: Floats = np.asarray(values, dtype=np.float64)
    _, code = np.unique(np.asarray(clusters), return_inverse=True)
    centres = np.stack([array[code == one].mean(0) for one in range(code.max() + 1)])  # (clusters, ...)
    count = len(centres)
    weights = rng.multinomial(count, np.full(count, 1 / count), size=draws) / count
    found: Floats = np.tensordot(weights, centres, axes=1)
    return found
