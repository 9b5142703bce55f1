import numpy as np
import pytest

from leaq.stats.agreement import cluster_means


def test_a_cluster_counts_once_however_many_cells_it_has(rng):
    values, clusters = [0.0] * 50 + [1.0], ["a"] * 50 + ["b"]
    drawn = cluster_means(values, clusters, draws=4000, rng=rng)
    assert drawn.mean() == pytest.approx(0.5, abs=0.03)
    assert set(np.unique(drawn)) == {0.0, 0.5, 1.0}
