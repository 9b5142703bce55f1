import numpy as np
import pytest

from leaq.quantizers import Uniform, build
from leaq.quantizers.companded import MuLaw
from tests.helpers import ROUNDING
from tests.unit.quantizers.cases import nearest, run, weights


@pytest.mark.parametrize(("bits", "mu"), [(2, 8.0), (3, 1.0), (4, 255.0)])
def test_each_weight_takes_the_nearest_level(bits, mu):
    scheme, weight = MuLaw(bits=bits, mu=mu, per="channel"), weights(1, 2, 3, 50)
    half = 2 ** (bits - 1) - 1
    up = [((1 + mu) ** (i / half) - 1) / mu for i in range(half + 1)]
    levels = np.array([-level for level in up[:0:-1]] + up)
    slow = [[nearest(row, levels * np.abs(row).max()) for row in model] for model in weight.numpy()]
    np.testing.assert_allclose(run(scheme, weight), slow, **ROUNDING)


def test_levels_are_equally_spaced_after_companding():
    x = np.array(MuLaw(bits=4, mu=50.0).table)
    y = np.sign(x) * np.log1p(50 * np.abs(x)) / np.log1p(50)
    np.testing.assert_allclose(np.diff(y), 1 / 7)
    assert (x[0], x[7], x[-1]) == (-1, 0, 1)


def test_with_little_companding_it_is_the_uniform_quantizer():
    weight = weights(2, 1, 4, 40)
    np.testing.assert_allclose(
        run(MuLaw(bits=4, mu=1e-9, per="channel"), weight), run(Uniform(bits=4, per="channel"), weight), rtol=1e-6
    )


def test_weights_with_heavy_tails_are_kept_closer_than_by_equal_steps():
    weight = weights(3, 1, 8, 400)
    errors = [
        np.square(run(scheme, weight) - weight.numpy()).mean()
        for scheme in (build("mu_law(bits=4)"), build("uniform(bits=4, per=group, group=64)"))
    ]
    assert errors[0] < errors[1]
