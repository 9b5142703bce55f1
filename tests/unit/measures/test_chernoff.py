import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from leaq.errors import InvalidInput
from leaq.measures.chernoff import chernoff, chernoff_exponents
from leaq.measures.rate import rate
from tests.unit.measures.test_rate import noisy, table


@pytest.mark.parametrize("shift", [0.1, 0.5, 2.0])
def test_chernoff_follows_a_direct_search(shift):
    d = np.random.default_rng(3).normal(shift, 1.0, 400)
    slow = -minimize_scalar(lambda t: np.log(np.mean(np.exp(-t * d))), bounds=(0, 50), method="bounded").fun
    assert chernoff(d) == pytest.approx(slow, rel=1e-6)


def test_chernoff_edges():
    assert chernoff(np.array([1.0, 2.0])) == np.inf
    assert chernoff(np.array([0.0, 1.0])) == pytest.approx(np.log(2))
    assert chernoff(np.array([-1.0, 0.5])) == 0.0
    assert chernoff_exponents(np.zeros((1, 3)))[0] == 0.0
    with pytest.raises(InvalidInput, match="must be finite"):
        chernoff(np.array([np.nan, 1.0]))


def test_the_union_bound_and_the_asymptotic_value_are_both_given():
    found = rate(table(noisy([0.0, 1.0, 1.5]), n_train=50))
    assert found.asymptotic.value == pytest.approx(np.exp(-50 * found.r.value))
    assert found.n_r.value == pytest.approx(50 * found.r.value)
    exponents = chernoff_exponents(np.diff(noisy([0.0, 1.0, 1.5])[[0, 1, 0, 2]], axis=0)[::2])
    assert found.union_bound.value == pytest.approx(2 * np.exp(-50 * exponents).sum(), rel=1e-6)
