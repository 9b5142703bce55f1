import multiprocessing
import os
import signal

import pytest

from leaq.errors import StoreError
from leaq.study.locks import Claim


def hold(path, ready):
    claim = Claim.take(path)
    ready.send(claim is not None)
    signal.pause()


def test_a_claim_is_free_again_when_its_process_is_killed(tmp_path):
    path = tmp_path / "cell"
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=hold, args=(path, there))
    process.start()
    assert here.recv()
    assert Claim.take(path) is None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert Claim.take(path) is not None


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StoreError, match="must be writable"):
        Claim.take(tmp_path / "none" / "cell")
