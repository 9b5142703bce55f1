import multiprocessing
import os
import signal
import threading

import pytest

from leaq.errors import StoreError
from leaq.system.locks import Lock


def hold(path, ready):
    lock = Lock.take(path)
    ready.send(lock is not None)
    signal.pause()


def test_a_claim_is_free_again_when_its_process_is_killed(tmp_path):
    path = tmp_path / "cell"
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=hold, args=(path, there))
    process.start()
    assert here.recv()
    assert Lock.take(path) is None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert Lock.take(path) is not None


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StoreError, match="must be writable"):
        Lock.take(tmp_path / "none" / "cell")


@pytest.mark.parametrize("there", [True, False])
def test_a_link_in_a_locks_place_is_never_followed(tmp_path, there):
    target, lock = tmp_path / "thesis.docx", tmp_path / "cell"
    if there:
        target.write_text("chapter 1")
    lock.symlink_to(target)
    with pytest.raises(StoreError, match="It is a link or a special file, which leaq never follows. Remove it"):
        Lock.take(lock)
    assert (target.read_text() == "chapter 1") if there else not target.exists()


def test_who_waits_gets_the_claim_when_it_is_given_up(tmp_path):
    mine, got = Lock.take(tmp_path / "cell"), []
    waiting = threading.Thread(target=lambda: got.append(Lock.wait(tmp_path / "cell")))
    waiting.start()
    mine.release()
    waiting.join()
    assert Lock.take(tmp_path / "cell") is None
    got[0].release()
    assert (tmp_path / "cell").read_bytes() == b""
