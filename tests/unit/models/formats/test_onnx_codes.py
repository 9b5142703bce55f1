"""Codes of ONNX files are told by what tells the rule that made them."""

import numpy as np
import pytest

from leaq.models.formats.onnx_codes import decoded_codes, is_float8, range_of

FULL, HALF = np.array([[-127, 127], [3, 5]]), np.array([[-64, 64], [3, 5]])
ONE, TWO = np.float32([0.5]), np.float32([0.5, 0.25])


@pytest.mark.parametrize(
    ("codes", "scale", "zero", "form"),
    [
        (FULL.astype(np.int8), ONE, None, "int8"),
        (FULL.astype(np.int8), TWO, np.int8([0, 0]), "int8"),
        (FULL.astype(np.int8), TWO, np.int8([0, 1]), "int8 with zero points"),
        (FULL.astype(np.int8), ONE, np.int8([1]), "int8 with zero points per tensor"),
        (HALF.astype(np.int8), TWO, None, "int8 of half the levels"),
        (HALF.astype(np.int8), ONE, None, "int8 of half the levels per tensor"),
        ((FULL + 128).astype(np.uint8), ONE, np.uint8([128]), "uint8 per tensor"),
        ((FULL + 128).astype(np.uint8), TWO, np.uint8([128, 127]), "uint8"),
        ((FULL + 128).astype(np.uint8), TWO, np.uint8([128, 128]), "uint8, symmetric"),
        ((HALF + 64).astype(np.uint8), TWO, np.uint8([64, 64]), "uint8 of half the levels, symmetric"),
        ((HALF + 64).astype(np.uint8), ONE, np.uint8([64]), "uint8 of half the levels per tensor"),
    ],
)
def test_forms(codes, scale, zero, form):
    assert decoded_codes(codes, scale, zero, axis=0).form == f"ONNX {form}"


def test_blocks_are_told_by_their_size():
    found = decoded_codes(FULL.astype(np.int8), np.float32([[1.0, 1.0], [2.0, 2.0]]), None, axis=0, block=1)
    assert found.form == "ONNX int8 in groups of 1"


def test_short_floats_have_no_even_steps():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    codes = np.array([[1.5, -2.0]]).astype(ml_dtypes.float8_e4m3fn)
    found = decoded_codes(codes, ONE, None, axis=0)
    assert (found.form, found.step, found.array.tolist()) == ("ONNX float8_e4m3fn", None, [[0.75, -1.0]])
    assert is_float8(codes.dtype)
    assert not is_float8(np.int8)


def test_ranges_of_types():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    kinds = (np.int8, np.uint8, np.int16, ml_dtypes.int4, ml_dtypes.uint4)
    assert [range_of(kind) for kind in kinds] == [(-128, 127), (0, 255), (-32768, 32767), (-8, 7), (0, 15)]
