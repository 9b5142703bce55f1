"""Types whose levels are a table are ggml's, byte for byte, and what the package gguf decodes of them is released.

`ggml_types.npz` holds 13 blocks of weights and what ggml's own encoder (the C code in llama-cpp-python 0.3.36, built
for x86-64 without fused operations) made of them.
"""

import numpy as np
import pytest
import torch

from leaq.quantizers import build
from leaq.quantizers.backends.level_tables import LEVEL_TABLES, encode_table, pack_table
from leaq.types import Checkpoints
from tests.helpers import require


@pytest.mark.parametrize("kind", ["IQ4_NL", "IQ4_XS"])
def test_bytes_are_those_of_ggml(ggml, kind):
    blocks = ggml["weights"].reshape(-1, LEVEL_TABLES[kind].block)
    assert np.array_equal(pack_table(*encode_table(blocks, kind)), ggml[kind])


@pytest.mark.parametrize("kind", ["MXFP4", "TQ1_0", "TQ2_0"])
def test_the_packages_own_encoder_is_ggmls(ggml, kind):
    require("gguf")
    import gguf

    blocks = ggml["weights"].reshape(-1, LEVEL_TABLES[kind].block)
    assert np.array_equal(gguf.quants.quantize(blocks, gguf.GGMLQuantizationType[kind]), ggml[kind])


@pytest.mark.parametrize("kind", LEVEL_TABLES)
def test_candidates_take_the_nearest_level_of_the_released_models_scales(kind):
    require("gguf")
    torch.manual_seed(0)
    weight = torch.randn(1, 3, 256)
    stack = Checkpoints({"w": torch.stack([weight + 0.02, weight], 1)}, {"w": "linear"}, (1, 2))
    fitted = build(f"gguf(type={kind})").fitted_to(stack.last())
    moved = fitted(stack).params["w"][0, 0]
    ((codes, scales),) = fitted.codes(stack.last()).values()
    scheme = build(f"gguf(type={kind})")
    every = torch.stack([scheme.decode(torch.full_like(codes, code), scales)[0] for code in range(scheme.levels)])
    best = (every - stack.params["w"][0, 0]).abs().amin(0)
    torch.testing.assert_close((moved - stack.params["w"][0, 0]).abs(), best)
