import pytest
import torch

from leaq.models.formats.codes import blocks_of, scaled, unpack_words
from leaq.models.formats.weight import nearest_reading
from tests.unit.models.formats.test_weight import eight, original


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("inverse", [False, True])
def test_the_original_decides_which_axis_scales_belong_to(axis, inverse):
    wanted = original()
    codes, step = eight(wanted, axis=axis)
    given = 1 / step.flatten() if inverse else step.flatten()
    found = scaled(codes.to(torch.int8), given, form="int8")
    got, _ = nearest_reading(found, wanted, name="w", subject="m", shape=wanted.shape)
    torch.testing.assert_close(got.value, codes * step)


def test_blocks_cover_a_weight_in_both_axes():
    scale = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    (wide,) = blocks_of(scale, torch.Size([4, 6]))
    assert wide[:, 0].tolist() == [1, 1, 3, 3]
    assert wide[0].tolist() == [1, 1, 1, 2, 2, 2]
    (wide,) = blocks_of(torch.arange(3.0).reshape(1, 3) + 1, torch.Size([2, 40]))  # a last block that is shorter
    assert wide[0].tolist() == [1] * 16 + [2] * 16 + [3] * 8
    assert list(blocks_of(torch.ones(1, 3), torch.Size([2, 128]))) == []  # no group size gives 3 groups of 128
    assert list(blocks_of(torch.ones(5, 7), torch.Size([4, 6]))) == []


@pytest.mark.parametrize("bits", range(2, 9))
def test_streams_of_bits_are_cut_into_codes(bits, rng):
    codes = rng.integers(0, 2**bits, 32)
    stream = sum(int(code) << (i * bits) for i, code in enumerate(codes))
    words = torch.tensor([stream >> (32 * i) & 0xFFFFFFFF for i in range(bits)])
    words = torch.where(words >= 2**31, words - 2**32, words).to(torch.int32)
    assert unpack_words(words, bits, 32).tolist() == codes.tolist()
