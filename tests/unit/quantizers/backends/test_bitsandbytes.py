"""On some processors the library dequantizes rows shorter than a block wrongly; what is released is right."""

import pytest
import torch

from leaq.quantizers import build
from tests.helpers import require
from tests.unit.quantizers.backends.cases import released, weight_of


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
@pytest.mark.parametrize("columns", [8, 16, 32, 48, 64])
def test_rows_shorter_than_a_block_are_released_as_their_codes_say(kind, columns):
    require("bitsandbytes")
    scheme = build(f"bitsandbytes.{kind}")
    weight = torch.randn(1, 64, columns, generator=torch.Generator().manual_seed(columns))
    fitted = scheme.fit(weight)  # refuses codes that do not give the library's weights
    restored = scheme.decode(fitted["codes"], {name: part for name, part in fitted.items() if name != "codes"})
    assert float((restored - weight).abs().max()) < 1.0


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_bitsandbytes_four_bits(kind):
    require("bitsandbytes")
    import bitsandbytes.functional as bnb

    weight = weight_of(2, (5, 33))  # blocks cross rows, the last one is short
    packed, state = bnb.quantize_4bit(weight.reshape(1, -1), blocksize=64, quant_type=kind)
    assert torch.equal(released(f"bitsandbytes.{kind}", weight), bnb.dequantize_4bit(packed, state).reshape(5, 33))


@pytest.mark.parametrize("width", [16, 32, 48, 64])
def test_bitsandbytes_four_bits_of_matrices_narrower_than_a_block(width):
    """Where the library's own dequantization of the matrix is wrong, that of the flattened one is not."""
    require("bitsandbytes")
    weight = weight_of(6, (8, width))
    given = released("bitsandbytes.nf4", weight)
    blocks = weight.reshape(-1, 64)
    table = build("nf4")  # our own: the same levels, and blocks of one row
    ours = released(table.spec(), blocks.reshape(1, -1)).reshape(8, width)
    assert (ours != given).float().mean() < 0.02


def test_bitsandbytes_eight_bits():
    require("bitsandbytes")
    import bitsandbytes.functional as bnb

    weight = weight_of(3, (5, 100))
    codes, state = bnb.quantize_blockwise(weight, blocksize=256)
    assert torch.equal(released("bitsandbytes.blockwise8", weight), bnb.dequantize_blockwise(codes, state))
    rows, largest, _ = bnb.int8_vectorwise_quant(weight)
    assert torch.equal(released("bitsandbytes.int8", weight), bnb.int8_vectorwise_dequant(rows, largest))


def test_our_nf4_is_bitsandbytes_nf4():
    """Same table, same nearest levels; bitsandbytes divides by multiplying with a reciprocal: ties may differ."""
    require("bitsandbytes")
    weight = weight_of(4, (1, 64 * 40))  # one row, so that blocks are the same
    ours, theirs = released("nf4", weight), released("bitsandbytes.nf4", weight)
    assert (ours != theirs).float().mean() < 0.001
    assert released("fp4", weight).unique().numel() != released("bitsandbytes.fp4", weight).unique().numel()
