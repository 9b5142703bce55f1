import io
import struct
import zipfile

import numpy as np
import pytest

from leaq.errors import InvalidInput
from leaq.system.npz import read_npz

ARRAYS = {"x": np.arange(12.0).reshape(4, 3), "y": np.array(["a", "bc"]), "z": np.zeros((0, 2), np.int8)}


def packed(save=np.savez, **arrays):
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back(save, tmp_path):
    (tmp_path / "x.npz").write_bytes(packed(save, **ARRAYS))
    found = read_npz(tmp_path / "x.npz", name="x.npz")
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_whatever_is_damaged_is_one_error(save, rng):
    content = packed(save, **ARRAYS)
    for _ in range(400):
        damaged = bytearray(content[: int(rng.integers(len(content)))] if rng.random() < 0.3 else content)
        for _ in range(int(rng.integers(1, 4)) if damaged else 0):
            damaged[int(rng.integers(len(damaged)))] = int(rng.integers(256))
        try:
            read_npz(bytes(damaged), name="m.npz")
        except InvalidInput as err:
            assert str(err).startswith("m.npz: ")  # noqa: PT017 -- some damage is none: a byte may stay as it was


def test_objects_are_refused_by_name():
    with pytest.raises(InvalidInput, match=r"m: must be an NPZ .* \('x.npy' holds Python objects, which only"):
        read_npz(packed(x=np.array([{}])), name="m")


def claiming(shape):
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + b"12345678")
    return buffer.getvalue()


@pytest.mark.parametrize("shape", [(10**9,), (2**62, 4), (10**30,), (-1,)])
def test_a_header_that_claims_more_than_the_file_holds_is_refused(shape):
    with pytest.raises(InvalidInput, match="must be an NPZ file"):
        read_npz(claiming(shape), name="m")


def test_a_bomb_is_refused_before_memory_is_given_to_it(monkeypatch):
    monkeypatch.setattr("leaq.system.limits.memory_budget", lambda: 1 << 20)
    content = packed(np.savez_compressed, x=np.zeros(10**6))
    assert len(content) < 20_000
    with pytest.raises(InvalidInput, match=r"m: its content must fit into 0.0 GiB, half of the memory that is free"):
        read_npz(content, name="m")
