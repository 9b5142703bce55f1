"""K-quants are ggml's, byte for byte, and what the package gguf decodes of them is what leaq releases.

`ggml_types.npz` holds 13 blocks of weights and what ggml's own encoder (the C code in llama-cpp-python 0.3.36, built
for x86-64 without fused operations) made of them.
"""

import numpy as np
import pytest
import torch

from leaq.quantizers import build
from leaq.quantizers.backends.k_quants import K_TYPES, encode_k, pack_k
from leaq.types import Checkpoints
from tests.helpers import require


@pytest.mark.parametrize("kind", K_TYPES)
def test_bytes_are_those_of_ggml(ggml, kind):
    assert np.array_equal(pack_k(*encode_k(ggml["weights"], kind), kind), ggml[kind])


@pytest.mark.parametrize("kind", K_TYPES)
def test_the_search_errs_less_than_plain_rounding(rng, kind):
    """Plain rounding: codes evenly between the extremes of each run, scales in full precision."""
    require("gguf")
    x = rng.normal(size=(8, 2048)).astype(np.float32)
    given = Checkpoints({"w": torch.from_numpy(x)[None]}, {"w": "linear"}, (1,))
    released = build(f"gguf(type={kind})")(given).params["w"][0].numpy()
    form = K_TYPES[kind]
    runs = x.reshape(-1, form.run)
    low, high = runs.min(1, keepdims=True), runs.max(1, keepdims=True)
    step = (high - low) / (2**form.bits - 1)
    plain = low + np.rint((runs - low) / step) * step
    if form.lowest:
        assert ((released - x) ** 2).mean() < 1.05 * ((plain - runs) ** 2).mean()
    else:  # one scale, no lowest value: the middle is always a level
        assert ((released - x) ** 2).mean() < 1.6 * ((plain - runs) ** 2).mean()
