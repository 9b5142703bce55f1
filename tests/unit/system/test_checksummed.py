import io
import json
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from leaq.errors import InvalidInput, StoreError
from leaq.system.checksummed import (
    BLANK,
    DamagedFile,
    json_with_checksum,
    read_arrays,
    read_checked,
    read_json,
    read_npz,
    with_checksum,
    write_arrays,
)

ARRAYS = {"a": np.arange(5.0), "b": np.array(["x", BLANK])}
IDENTITY = {"kind": "cell", "key": "wine"}


def packed(form, tmp_path):
    """The bytes of a checksummed file of each form, and how it is read."""
    if form == "json":
        return json_with_checksum(json.dumps({"a": 1, "note": BLANK}), **IDENTITY), read_json
    write_arrays(tmp_path / "x", ARRAYS, **IDENTITY, compressed=form == "npz, compressed")
    return (tmp_path / "x").read_bytes(), read_arrays


FORMS = ("json", "npz", "npz, compressed")


@pytest.mark.parametrize("form", FORMS)
def test_what_has_a_checksum_is_read_and_other_programs_read_it_too(form, tmp_path):
    content, read = packed(form, tmp_path)
    path = tmp_path / "x"
    path.write_bytes(content)
    found = read(path, **IDENTITY)
    if form == "json":
        assert found == {"a": 1, "note": BLANK}
        assert json.loads(content)["a"] == 1
    else:
        assert found["a"].tolist() == ARRAYS["a"].tolist()
        assert np.load(io.BytesIO(content))["b"].tolist() == ARRAYS["b"].tolist()
        assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None


@pytest.mark.parametrize("form", FORMS)
def test_every_changed_byte_is_found(form, tmp_path, rng):
    content, read = packed(form, tmp_path)
    path = tmp_path / "x"
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(DamagedFile):
            read(path, **IDENTITY)


@pytest.mark.parametrize("form", FORMS)
def test_every_truncation_and_every_addition_is_found(form, tmp_path):
    content, read = packed(form, tmp_path)
    path = tmp_path / "x"
    for damaged in (*(content[:size] for size in range(0, len(content), 7)), content + b"\n", b" " + content):
        path.write_bytes(damaged)
        with pytest.raises(DamagedFile):
            read(path, **IDENTITY)


@pytest.mark.parametrize("other", [{"kind": "cell", "key": "beer"}, {"kind": "chunk", "key": "wine"}])
def test_another_files_content_is_found_under_any_name(other, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(packed("json", tmp_path)[0])
    with pytest.raises(DamagedFile, match=r"changed after it was written, or is another file under this name"):
        read_json(path, **other)


def test_a_file_that_is_not_there_is_no_damage(tmp_path):
    with pytest.raises(StoreError, match="No such file") as found:
        read_checked(tmp_path / "none", **IDENTITY)
    assert not isinstance(found.value, DamagedFile)


def test_a_checksummed_file_that_its_library_cannot_read_is_damage(tmp_path):
    """Whoever forges can compute the checksum too; the reader still raises nothing of its own."""
    for content, read in ((f'{{"with_checksum": "{BLANK}", [', read_json), (f"PK {BLANK}", read_arrays)):
        (tmp_path / "x").write_bytes(with_checksum(content.encode(), **IDENTITY))
        with pytest.raises(DamagedFile, match="cannot be read"):
            read(tmp_path / "x", **IDENTITY)


def test_an_empty_object_has_a_checksum_too(tmp_path):
    (tmp_path / "x").write_bytes(json_with_checksum("{}", **IDENTITY))
    assert read_json(tmp_path / "x", **IDENTITY) == {}


def test_arrays_are_neither_written_nor_checked_by_copies_in_memory(tmp_path):
    arrays = {"a": np.zeros(2**21), "b": np.ones(2**20)}  # 24 MiB
    tracemalloc.start()
    write_arrays(tmp_path / "x", arrays, **IDENTITY)
    _, writing = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    found = read_arrays(tmp_path / "x", **IDENTITY)
    _, reading = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert all((found[name] == array).all() for name, array in arrays.items())
    assert writing < 20 * 2**20  # numpy writes 16 MiB at a time
    assert reading < 1.7 * 24 * 2**20


ARRAYS_of_npz = {"x": np.arange(12.0).reshape(4, 3), "y": np.array(["a", "bc"]), "z": np.zeros((0, 2), np.int8)}


def packed_of_npz(save=np.savez, **arrays):
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back(save, tmp_path):
    (tmp_path / "x.npz").write_bytes(packed_of_npz(save, **ARRAYS_of_npz))
    found = read_npz(tmp_path / "x.npz", name="x.npz")
    assert found.keys() == ARRAYS_of_npz.keys()
    for name, array in ARRAYS_of_npz.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_whatever_is_damaged_is_one_error(save, rng):
    content = packed_of_npz(save, **ARRAYS_of_npz)
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
        read_npz(packed_of_npz(x=np.array([{}])), name="m")


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
    monkeypatch.setattr("leaq.system.memory.memory_budget", lambda: 1 << 20)
    content = packed_of_npz(np.savez_compressed, x=np.zeros(10**6))
    assert len(content) < 20_000
    with pytest.raises(InvalidInput, match=r"m: its content must fit into 0.0 GiB, half of the memory that is free"):
        read_npz(content, name="m")


def test_a_web_page_in_place_of_an_archive_is_called_one(tmp_path):
    (tmp_path / "x.npz").write_text("<!DOCTYPE html><title>Sign in</title>")
    with pytest.raises(StoreError, match="x.npz: this is no data but a web page"):
        read_npz(tmp_path / "x.npz", name="x.npz")
