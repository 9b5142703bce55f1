import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from leaq.quantizers import Uniform, build
from tests.helpers import ROUNDING
from tests.unit.quantizers.cases import nearest, run, same_bits, weights


def slow_uniform(scheme: Uniform, row: np.ndarray) -> np.ndarray:
    """One row, its groups one after another."""
    size = scheme.group if scheme.per == "group" else len(row)
    parts = []
    for start in range(0, len(row), size):
        part = row[start : start + size]
        if scheme.symmetric:
            half = 2 ** (scheme.bits - 1) - 1
            levels = np.arange(-half, half + 1) * (np.abs(part).max() / half)
        else:
            levels = np.linspace(part.min(), part.max(), 2**scheme.bits)
        parts.append(nearest(part, levels))
    return np.concatenate(parts)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**16),
    bits=st.integers(2, 5),
    symmetric=st.booleans(),
    per=st.sampled_from(["channel", "group"]),
    inputs=st.integers(1, 11),
)
def test_uniform(*, seed, bits, symmetric, per, inputs):
    scheme = Uniform(bits=bits, symmetric=symmetric, per=per, group=4)
    weight = weights(seed, 2, 3, inputs)
    slow = [[slow_uniform(scheme, row) for row in model] for model in weight.numpy()]
    np.testing.assert_allclose(run(scheme, weight), slow, **ROUNDING)


def test_a_short_cut_that_never_clips_is_caught():
    """The control: steps that have lost digits put weights beyond the levels, where only clipping keeps them."""
    scheme, weight = build("uniform(bits=8)"), torch.tensor([[[2.66e-43, 1e-44]]])
    scales, out = scheme.fit(weight), torch.empty(1, 1, 2)
    slow = scheme.decode(scheme.encode(weight, scales), scales)
    scheme._fake_quantize(weight, scales, out, clip=False)
    assert not same_bits(out, slow)
    scheme.fit_fake_quantize(weight, out)
    assert same_bits(out, slow)
