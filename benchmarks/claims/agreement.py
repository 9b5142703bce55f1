"""Do many rankings agree? Kendall's coefficients, and what no other beats.

Axis letters here: ``m`` rankings (embedders, seeds, cells), ``k`` ranked things (quantizers).
"""

import numpy as np
import numpy.typing as npt

from leaq.errors import InvalidInput
from leaq.stats.ranks import kendall, ranked
from leaq.types import Bools, Floats

__all__ = ["concordance", "mean_tau", "pareto_front"]


def mean_tau(values: npt.ArrayLike) -> float:
    """Average rank correlation of all pairs of rankings, from (m, k) values.

    Range: [-1/(m-1), 1]. 1: all rankings are the same. NaN if a ranking prefers nothing.

    Examples
    --------
    >>> mean_tau([[1, 2, 3], [1, 2, 3], [3, 2, 1]])
    -0.3333333333333333
    """
    rows = _rankings(values)
    first, second = np.tril_indices(len(rows), -1)
    return float(kendall(rows[first], rows[second], tied=np.nan).mean())


def concordance(values: npt.ArrayLike) -> float:
    """Share of the variance of rank sums that complete agreement would give: Kendall's W, from (m, k) values.

    Range: [0, 1]; 1 all rankings are the same, 0 none is preferred. With m rankings drawn at random W averages 1/m,
    so a small m makes it look large: read it beside `mean_tau`, which averages 0. NaN if no ranking prefers anything.
    Source: Kendall and Babington Smith (1939), Ann. Math. Stat. 10:275, eq. with the correction for ties.

    Examples
    --------
    >>> concordance([[1, 2, 3], [10, 20, 30]])
    1.0
    """
    rows = _rankings(values)
    m, k = rows.shape
    ranks = np.stack([ranked(row) for row in rows])
    squares = float(np.square(ranks.sum(0) - m * (k + 1) / 2).sum())
    ties = sum(float((counts**3 - counts).sum()) for row in rows for _, counts in [np.unique(row, return_counts=True)])
    largest = m**2 * (k**3 - k) - m * ties
    return float(12 * squares / largest) if largest > 0 else float("nan")


def _rankings(values: npt.ArrayLike) -> Floats:
    rows: Floats = np.asarray(values, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[0] < 2 or rows.shape[1] < 2:
        raise InvalidInput(f"Rankings must be (m, k) with m, k >= 2. Found shape {rows.shape}.")
    if not np.isfinite(rows).all():
        raise InvalidInput("Rankings must be of finite numbers. Found NaN or infinite ones.")
    return rows


def pareto_front(costs: npt.ArrayLike) -> Bools:
    """Which of k things no other beats in every column of (k, columns) costs; smaller is better.

    Examples
    --------
    >>> pareto_front([[1, 3], [2, 2], [3, 3]]).tolist()
    [True, True, False]
    """
    rows = np.asarray(costs, dtype=np.float64)
    beats = (rows[:, None] <= rows[None]).all(-1) & (rows[:, None] < rows[None]).any(-1)  # [i, j]: i beats j
    return np.asarray(~beats.any(0))
