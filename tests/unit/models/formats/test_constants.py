import numpy as np
import torch

from leaq.models.formats.constants import Constant, along, bits_of, decoded


def test_codes_of_blocks_take_the_scales_of_theirs():
    codes, zero = np.arange(12, dtype=np.int8).reshape(2, 6), np.array([[0, 1], [2, 3]], np.int8)
    scale = np.array([[1.0, 0.5], [0.25, 2.0]], np.float32)
    found = decoded(codes, scale, zero, form="ONNX int8", axis=1, block=3)
    for row in range(2):
        for column in range(6):
            block = column // 3
            assert found.array[row, column] == (codes[row, column] - zero[row, block]) * scale[row, block]
    assert found.step.tolist() == along(scale, (2, 6), 1, 3).tolist()


def test_what_is_stored_inputs_first_is_turned_with_its_steps():
    value = Constant(np.arange(6.0).reshape(2, 3), np.array([[1.0, 2.0, 3.0]]).repeat(2, 0), "ONNX int8")
    weight = value.weight(turned=True)
    assert weight.value.tolist() == [[0, 3], [1, 4], [2, 5]]
    assert weight.step.tolist() == [[1, 1], [2, 2], [3, 3]]
    moved = Constant(np.arange(6.0).reshape(2, 3), np.array([2.0]), "x").moved(lambda array: array.reshape(6))
    assert torch.equal(moved.weight().step, torch.full((6,), 2.0))


def test_small_codes_come_out_of_their_bytes():
    codes = np.array([[-8, 7, -1, 0, 3, -2]])
    low, high = codes[:, ::2] & 15, codes[:, 1::2] & 15
    packed = (low | (high << 4)).astype(np.uint8)
    assert bits_of(packed, 4, 6, signed=True).tolist() == codes.tolist()
    assert bits_of(packed, 4, 5).tolist() == (codes & 15)[:, :5].tolist()
