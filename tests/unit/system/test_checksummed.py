import io
import json
import tracemalloc
import zipfile

import numpy as np
import pytest

from leaq.errors import StoreError
from leaq.system.checksummed import (
    BLANK,
    DamagedFile,
    json_with_checksum,
    read_arrays,
    read_checked,
    read_json,
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
