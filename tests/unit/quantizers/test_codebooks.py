import numpy as np
import pytest

from leaq.quantizers import FP4, NF4, KMeans, PowerOfTwo
from tests.helpers import ROUNDING
from tests.unit.quantizers.cases import nearest, run, weights


@pytest.mark.parametrize("scheme", [NF4(per="channel"), FP4(per="channel")], ids=["nf4", "fp4"])
def test_tables(scheme):
    weight = weights(1, 2, 3, 50)
    slow = [[nearest(row, np.array(scheme.table) * np.abs(row).max()) for row in model] for model in weight.numpy()]
    np.testing.assert_allclose(run(scheme, weight), slow, **ROUNDING)


def test_powers_of_two():
    scheme = PowerOfTwo(bits=3)
    weight = weights(2, 3, 40)
    for given_row, row in zip(run(scheme, weight), weight.numpy(), strict=True):
        top = 2.0 ** np.floor(np.log2(np.abs(row).max() * 4 / 3))
        levels = np.array([0, *(sign * top / 2**j for j in range(3) for sign in (1, -1))])
        np.testing.assert_allclose(given_row, nearest(row, levels), **ROUNDING)


def slow_lloyd(values: np.ndarray, k: int, steps: int) -> np.ndarray:
    levels = np.linspace(values.min(), values.max(), k)
    for _ in range(steps):
        owner = np.abs(values[:, None] - levels).argmin(1)
        levels = np.array([values[owner == j].mean() if (owner == j).any() else levels[j] for j in range(k)])
    return np.sort(levels)


def test_kmeans_is_lloyd():
    weight = weights(3, 2, 60)
    levels = KMeans(bits=3, iterations=7).fit(weight)["levels"][:, 0].numpy()
    slow = [slow_lloyd(row, 8, 7) for row in weight.numpy()]
    np.testing.assert_allclose(levels, slow, **ROUNDING)
    with pytest.raises(AssertionError):  # the control: one step fewer is another codebook
        np.testing.assert_allclose(levels, [slow_lloyd(row, 8, 1) for row in weight.numpy()], **ROUNDING)
