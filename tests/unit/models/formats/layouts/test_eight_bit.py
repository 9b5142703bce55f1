import pytest
import torch

from leaq.errors import InvalidInput
from leaq.models.formats.layouts.eight_bit import LAYOUT

NAMED = {"layer": "first"}


@pytest.fixture
def codes(rng):
    return torch.tensor(rng.integers(-127, 128, size=(4, 8)), dtype=torch.int8)


def test_rows_times_their_scales(codes):
    scale = torch.tensor([[0.5], [1.0], [2.0], [0.25]])
    found = LAYOUT.read({"weight": codes, "weight_scale": scale}, NAMED)
    assert torch.equal(found.value, codes.float() * scale)
    inverse = LAYOUT.read({"weight": codes, "weight_scale_inv": scale}, NAMED)  # so called, and multiplied all the same
    assert torch.equal(inverse.value, found.value)
    assert found.form == "int8"


def test_zero_points_are_taken_off_the_codes(codes):
    scale, zero = torch.full((4, 1), 0.5), torch.tensor([[1], [0], [-3], [2]], dtype=torch.int8)
    found = LAYOUT.read({"weight": codes, "weight_scale": scale, "weight_zero_point": zero}, NAMED)
    assert torch.equal(found.value, (codes.float() - zero.float()) * 0.5)


def test_llm_int8_keeps_the_largest_magnitude_of_a_row(codes):
    largest = torch.tensor([1.27, 12.7, 127.0, 0.127])
    found = LAYOUT.read({"weight": codes, "SCB": largest}, NAMED)
    torch.testing.assert_close(found.value, codes.float() * largest[:, None] / 127)
    assert found.form == "bitsandbytes LLM.int8"


def test_scales_that_cover_something_else_are_refused(codes):
    with pytest.raises(InvalidInput, match=r"Layer 'first': int8 codes \(4, 8\) must be covered by their scales"):
        LAYOUT.read({"weight": codes, "weight_scale": torch.ones(3, 1)}, NAMED)


def test_it_knows_a_layer_by_what_stands_beside_its_weight():
    assert LAYOUT.knows({"weight", "weight_scale"})
    assert not LAYOUT.knows({"weight"})
    assert not LAYOUT.knows({"weight_packed", "weight_scale"})
