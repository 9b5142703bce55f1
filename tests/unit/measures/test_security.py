import copy

import numpy as np
import pytest

import leaq
from leaq.measures.finite_sample import finite_sample
from leaq.measures.security import mis
from leaq.types import LossTable


@pytest.fixture(scope="module")
def table():
    losses = np.random.default_rng(0).normal([[0.0], [0.1], [0.2]], 1.0, size=(3, 500))
    return LossTable(losses[None], np.zeros((1, 500), bool), "regression", "iid", n_train=100)


def test_it_is_one_minus_the_leak(table):
    found, leak = mis(table), finite_sample(table)
    assert (found.value, found.low, found.high) == (1 - leak.value, 1 - leak.high, 1 - leak.low)
    assert (found.n, found.unit, found.flags) == (leak.n, leak.unit, leak.flags)
    assert repr(found).startswith("Estimate(")


def test_the_rate_is_found_at_its_former_place_with_a_warning(table):
    with pytest.warns(DeprecationWarning, match=r"leaq\.rate\(table\)\.r"):
        former = leaq.mis(table).r
    assert former == leaq.rate(table).r


def test_other_attributes_are_refused(table):
    found = leaq.mis(table)
    with pytest.raises(AttributeError, match="nothing"):
        getattr(found, "nothing")  # noqa: B009
    assert copy.deepcopy(found) == found
