from typing import get_args

import numpy as np
import pytest
import torch

from leaq.errors import LeaqError
from leaq.quantizers import build
from leaq.quantizers.backends.gguf import BY_IMPORTANCE, NO_ENCODER, OTHERWISE, Gguf
from leaq.quantizers.backends.k_quants import K_TYPES
from leaq.quantizers.backends.level_tables import LEVEL_TABLES
from leaq.types import Checkpoints
from tests.helpers import require


@pytest.mark.parametrize("kind", [*K_TYPES, *LEVEL_TABLES])
def test_what_is_released_is_what_gguf_decodes_of_these_bytes(ggml, kind):
    require("gguf")
    import gguf

    weight = torch.from_numpy(ggml["weights"]).reshape(1, 1, -1)
    given = Checkpoints({"w": weight}, {"w": "linear"}, (1,))
    scheme = build(f"gguf(type={kind})")
    decoded = gguf.quants.dequantize(ggml[kind], gguf.GGMLQuantizationType[kind]).reshape(1, 1, -1)
    assert torch.equal(scheme(given).params["w"], torch.from_numpy(np.array(decoded)))
    size, width = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
    whole = weight.numel() // size * width
    told = pytest.approx(whole, rel=0.02) if kind == "TQ1_0" else whole  # 52 bytes for 256 trits
    assert scheme.size(given).bytes == told


def test_short_rows_get_the_type_that_llama_cpp_puts_in_its_place():
    weights = {"a": torch.randn(1, 4, 256), "b": torch.randn(1, 4, 96)}
    given = Checkpoints(weights, dict.fromkeys(weights, "linear"), (1,))
    plan = build("gguf(type=Q4_K)").plan(given)
    assert {name: scheme.type for name, scheme in plan.items()} == {"a": "Q4_K", "b": "Q5_0"}


def test_candidates_move_by_the_released_models_scales():
    require("gguf")
    torch.manual_seed(0)
    weight = torch.randn(2, 3, 256)
    stack = Checkpoints({"w": torch.stack([weight + 0.01, weight], 1)}, {"w": "linear"}, (2, 2))
    fitted = build("gguf(type=Q5_K)").fitted_to(stack.last())
    moved = fitted(stack).params["w"]
    assert torch.equal(moved[:, 1], build("gguf(type=Q5_K)")(stack.last()).params["w"])
    assert (moved[:, 0] - stack.params["w"][:, 0]).abs().max() < 0.2


def test_through_rounds_to_the_type_of_the_file_that_was_quantized():
    require("gguf")
    given = Checkpoints({"w": torch.randn(1, 4, 256)}, {"w": "linear"}, (1,))
    rounded = given.replace({"w": given.params["w"].bfloat16().float()})
    through = build("gguf(type=Q6_K, through=bfloat16)")(given).params["w"]
    assert torch.equal(through, build("gguf(type=Q6_K)")(rounded).params["w"])
    assert not torch.equal(through, build("gguf(type=Q6_K)")(given).params["w"])


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("IQ2_XS", r"only with an importance matrix, .* --released .* gguf\(type=Q2_K\)"),
        ("IQ3_S", r"can be read, but has no encoder here, .* gguf\(type=Q3_K\)"),
        ("NVFP4", r"can be read, but has no encoder here, .* gguf\(type=IQ4_NL\)"),
        ("BF16", "BF16 is bfloat16 here"),
        ("Q4_K_M", r"a mixture of types: use gguf\(type=Q4_K\) with others="),
        ("Q9_9", "Input should be 'Q4_0'"),
    ],
)
def test_types_that_weights_are_not_given_say_why(kind, text):
    with pytest.raises(LeaqError, match=text):
        build(f"gguf(type={kind})")


def test_every_type_that_the_package_decodes_is_given_or_told_why_not():
    require("gguf")
    import gguf

    known = {*get_args(Gguf.model_fields["type"].annotation), *BY_IMPORTANCE, *NO_ENCODER, *OTHERWISE}
    assert {kind.name for kind in gguf.quants._type_traits} <= known
