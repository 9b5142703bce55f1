import os
import stat
from pathlib import Path

import pytest

from leaq.errors import StoreError
from leaq.system.files import private_folder, read_bytes, sweep, writable_place, write_atomic


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


def test_a_file_of_another_kind_is_not_replaced(tmp_path):
    place = tmp_path / "mine.csv"
    for content, allowed in (("a,y\n1,0\n", False), ("data,value\nold,1\n", True), ("", True)):
        place.write_text(content)
        for attempt in (writable_place, lambda path, over: write_atomic(path, "data,value\nnew,2\n", over=over)):
            if allowed:
                attempt(place, over="data,value")
                continue
            with pytest.raises(StoreError, match="It is another file, which would be lost"):
                attempt(place, over="data,value")
            assert place.read_text() == content


def test_an_unwritable_place_is_refused(tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("leaq.system.files._temporary", refuse)
    with pytest.raises(StoreError, match="Read-only file system"):
        writable_place(tmp_path / "r.html")


def test_a_missing_file_is_a_store_error(tmp_path):
    with pytest.raises(StoreError, match="cannot be read"):
        read_bytes(tmp_path / "none")


@pytest.fixture
def umask():
    before = os.umask(0)
    yield os.umask
    os.umask(before)


def test_folders_that_are_made_on_the_way_are_private_too(tmp_path, umask):
    private_folder(tmp_path / "a" / "b" / "c")
    assert {mode(tmp_path / "a"), mode(tmp_path / "a" / "b"), mode(tmp_path / "a" / "b" / "c")} == {0o700}


@pytest.mark.parametrize("modes", [(0o077, 0o644, 0o600), (0, 0o644, 0o644), (0, 0o600, 0o600)])
def test_a_file_is_never_open_to_more_than_the_umask_and_its_mode_allow(tmp_path, umask, modes):
    mask, asked, found = modes
    umask(mask)
    write_atomic(tmp_path / "x", "1", mode=asked)
    assert mode(tmp_path / "x") == found


def test_a_special_file_is_never_replaced(tmp_path):
    pipe, link = tmp_path / "pipe", tmp_path / "null"
    os.mkfifo(pipe)
    link.symlink_to("/dev/null")
    for path in (pipe, link, Path("/dev/null"), Path("/dev/stdout")):
        for attempt in (writable_place, lambda path: write_atomic(path, "report")):
            with pytest.raises(StoreError, match="must be a regular file.*a device, a pipe or a socket"):
                attempt(path)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert link.is_symlink()
    assert sorted(names(tmp_path)) == ["null", "pipe"]


def test_a_name_as_long_as_the_system_allows_can_be_written(tmp_path):
    write_atomic(tmp_path / ("ü" * 127), "x")
    with pytest.raises(StoreError, match="File name too long"):
        write_atomic(tmp_path / ("x" * 300), "x")
    with pytest.raises(StoreError, match="File name too long"):
        writable_place(tmp_path / ("x" * 300))


def test_what_killed_processes_left_is_swept_and_nothing_else(tmp_path):
    for name in (".x.json-0123abcd", ".y.json-0123abcd", ".x.json-mine", "x.json", ".x.json-new0abcd"):
        (tmp_path / name).write_text("half")
    assert sweep(tmp_path) == 0  # another process may be writing them
    assert sweep(tmp_path, "x", older_than=0) == 1
    os.utime(tmp_path / ".y.json-0123abcd", (0, 0))
    assert sweep(tmp_path) == 1
    assert sorted(names(tmp_path)) == [".x.json-mine", ".x.json-new0abcd", "x.json"]
