import numpy as np
import pytest

from leaq.data import load
from leaq.data.synthetic import mixture
from leaq.errors import InvalidInput


def test_named_like_any_other_source():
    samples = load("mixture(modes=4, d=16, n=80, seed=3)")
    assert samples.inputs.shape == (80, 16)
    assert np.array_equal(samples.inputs, mixture(modes=4, d=16, n=80, seed=3).inputs)
    assert not np.array_equal(samples.inputs, mixture(modes=4, d=16, n=80, seed=4).inputs)
    assert [flag.code for flag in samples.flags] == ["synthetic"]


def test_records_scatter_around_their_centres_with_unit_variance():
    samples = mixture(modes=2, d=64, n=2000, spread=3.0)
    for label in (0, 1):
        mine = samples.inputs[samples.targets == label]
        assert mine.var(0).mean() == pytest.approx(1, abs=0.03)
    means = [samples.inputs[samples.targets == label].mean(0) for label in (0, 1)]
    assert np.linalg.norm(means[0] - means[1]) == pytest.approx(3 * np.sqrt(2) * 64**0.25, rel=0.3)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mixture(modes=1)", "modes must be a whole number of at least 2. Found 1"),
        ("mixture(n=3)", "n must be a whole number of at least 20. Found 3"),
        ("mixture(spread=0)", "spread must be a positive number"),
        ("mixture(mode=2)", "Options: modes, d, n, spread, seed"),
    ],
)
def test_refusals(spec, message):
    with pytest.raises(InvalidInput, match=message):
        load(spec)
