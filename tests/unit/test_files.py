import os
import stat

import pytest

from leaq.errors import StoreError
from leaq.files import private_folder, read_bytes, writable_place, write_atomic


def names(folder):
    return [path.name for path in folder.iterdir()]


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_and_files_are_private(tmp_path):
    folder = private_folder(tmp_path / "a" / "b")
    write_atomic(folder / "x.json", "{}")
    assert mode(folder) == 0o700
    assert mode(folder / "x.json") == 0o600
    assert read_bytes(folder / "x.json") == b"{}"


def test_nothing_is_left_behind(tmp_path):
    write_atomic(tmp_path / "x", b"one")
    write_atomic(tmp_path / "x", b"two")
    assert names(tmp_path) == ["x"]
    assert (tmp_path / "x").read_bytes() == b"two"


def test_a_full_disk_keeps_the_old_file(tmp_path, monkeypatch):
    write_atomic(tmp_path / "x", b"old")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"could not be written \(No space left on device\).*untouched"):
        write_atomic(tmp_path / "x", b"new")
    assert (tmp_path / "x").read_bytes() == b"old"
    assert names(tmp_path) == ["x"]


def test_an_impossible_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="must be writable"):
        private_folder(tmp_path / "file" / "run")


def test_a_place_is_asked_for_before_the_work(tmp_path):
    assert writable_place(tmp_path / "r.html") == tmp_path / "r.html"
    with pytest.raises(StoreError, match="It is a folder"):
        writable_place(tmp_path)
    with pytest.raises(StoreError, match="does not. Create it first"):
        writable_place(tmp_path / "none" / "r.html")
    assert names(tmp_path) == []


def test_an_unwritable_place_is_refused(tmp_path, monkeypatch):
    def refuse(**options):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("leaq.files.tempfile.mkstemp", refuse)
    with pytest.raises(StoreError, match="Read-only file system"):
        writable_place(tmp_path / "r.html")


def test_a_missing_file_is_a_store_error(tmp_path):
    with pytest.raises(StoreError, match="cannot be read"):
        read_bytes(tmp_path / "none")
