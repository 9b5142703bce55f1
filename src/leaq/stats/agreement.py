"""A bootstrap over clusters that share records."""

import numpy as np
import numpy.typing as npt

from leaq.types import Floats


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
