"""Recording to disk behind the training loop's back: nothing torn, nothing lost unsaid, whatever happens."""

import errno
import os
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from leaq.errors import StoreError
from leaq.training.recording import Recorder

LOOP = """
import sys, torch
from torch import nn
from leaq.training.recording import Recorder

module = nn.Linear(400, 300, bias=False)
with torch.no_grad():
    module.weight.fill_(0)
recorder = Recorder(module, keep=6, spacing=sys.argv[2], folder=sys.argv[1])
start = recorder.steps[-1] if recorder.steps else 0
with torch.no_grad():
    module.weight.fill_(start)
for number in range(start + 1, 100_000):
    with torch.no_grad():
        module.weight.add_(1)
    recorder.step(number)
    print(number, flush=True)
"""


def filled(value, width=2):
    module = nn.Linear(width, 1, bias=False)
    with torch.no_grad():
        module.weight.fill_(value)
    return module


def kill_after(folder, spacing, printed):
    """Train in another process and kill it the hard way once it has said so many steps."""
    command = [sys.executable, "-c", LOOP, str(folder), spacing]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}) as run:
        said = [int(run.stdout.readline()) for _ in range(printed)]
        run.kill()
    return said[-1]


def large():
    module = nn.Linear(400, 300, bias=False)
    with torch.no_grad():
        module.weight.fill_(0)
    return module


def check_whole(folder, spacing):
    """Every file is of the step it names; where spacing is equal, it is."""
    recorder = Recorder(large(), keep=6, spacing=spacing, folder=folder)
    recorder.flush()
    for step in recorder.steps:
        weight = load_file(folder / f"step-{step:012d}.safetensors")["weight"]
        assert weight.shape == (300, 400)
        assert (weight == step).all()
    assert not list(folder.glob(".step-*"))
    gaps = {b - a for a, b in zip(recorder.steps, recorder.steps[1:], strict=False)}
    assert spacing != "equal" or len(gaps) <= 1
    assert len(recorder.steps) <= 6
    return recorder.steps


@pytest.mark.parametrize("spacing", ["equal", "dense_end"])
def test_a_killed_recording_is_whole_and_goes_on(tmp_path, spacing):
    last = kill_after(tmp_path, spacing, 37)
    found = check_whole(tmp_path, spacing)
    assert found
    if spacing == "dense_end":  # at most what was being written is gone
        assert found[-1] >= last - 1
    module = large()
    recorder = Recorder(module, keep=6, spacing=spacing, folder=tmp_path)
    for number in range(found[-1] + 1, found[-1] + 100):
        with torch.no_grad():
            module.weight.fill_(number)
        recorder.step(number)
    assert check_whole(tmp_path, spacing)[-1] > found[-1]


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(3, 63, 6))
def test_a_recording_killed_again_and_again_stays_whole(tmp_path, moment):
    for _ in range(3):
        kill_after(tmp_path, "equal", moment)
        check_whole(tmp_path, "equal")


def test_a_recording_killed_while_it_thinned_is_spaced_equally_again(tmp_path):
    module = large()
    recorder = Recorder(module, keep=6, spacing="equal", folder=tmp_path)
    for number in (2, 4, 5, 6):  # 1 and 3 were dropped, 5 was not yet
        with torch.no_grad():
            module.weight.fill_(number)
        recorder.step(number)
    assert check_whole(tmp_path, "equal") == (2, 4, 6)


@pytest.mark.parametrize("spacing", ["equal", "dense_end"])
def test_a_recording_killed_before_it_thinned_is_thinned_when_it_goes_on(tmp_path, spacing):
    recorder = Recorder(large(), keep=6, spacing=spacing, folder=tmp_path)
    for number in range(1, 7):
        with torch.no_grad():
            recorder._model.weight.fill_(number)
        recorder.step(number)
    recorder.flush()
    save_file({"weight": torch.full((300, 400), 7.0)}, tmp_path / "step-000000000007.safetensors")
    steps = check_whole(tmp_path, spacing)
    assert steps == (2, 4, 6) if spacing == "equal" else len(steps) == 6 and steps[-1] == 7


def test_the_check_catches_a_torn_file(tmp_path):
    recorder = Recorder(large(), keep=6, spacing="equal", folder=tmp_path)
    recorder.step(4)
    recorder.flush()
    torn = torch.full((300, 400), 4.0)
    torn[7] = 3
    save_file({"weight": torn}, tmp_path / "step-000000000004.safetensors")
    with pytest.raises(AssertionError):
        check_whole(tmp_path, "equal")


def test_a_full_disk_is_said_at_the_next_record_and_its_step_is_not_claimed(tmp_path, monkeypatch):
    module = filled(1)
    recorder = Recorder(module, folder=tmp_path)
    recorder.step()
    recorder.flush()
    with monkeypatch.context() as broken:

        def full(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        broken.setattr(os, "write", full)
        recorder.step()
        with pytest.raises(StoreError, match=r"step-0+2.*could not be written \(No space left"):
            recorder.step()
    assert recorder.steps == (1,)
    recorder.step(3)
    assert recorder.checkpoints.steps == (1, 3)
    assert not list(tmp_path.glob(".step-*"))


def test_what_is_pending_is_on_disk_when_the_interpreter_ends(tmp_path):
    code = LOOP.replace("100_000", "4")
    subprocess.run([sys.executable, "-c", code, str(tmp_path), "dense_end"], check=True, capture_output=True)
    assert len(list(tmp_path.glob("*.safetensors"))) == 3


@pytest.mark.slow
def test_an_error_of_the_last_write_is_not_swallowed_at_the_end(tmp_path):
    code = LOOP.replace("100_000", "2") + "\nimport os\nos.write = None\nrecorder.step(2)\n"
    found = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), "dense_end"], check=False, capture_output=True, text=True
    )
    assert "TypeError: 'NoneType' object is not callable" in found.stderr


def test_a_folder_opened_again_in_the_same_process_waits_for_the_first_recorder(tmp_path):
    module = filled(1, 200_000)
    first = Recorder(module, folder=tmp_path)
    first.step()
    assert Recorder(module, folder=tmp_path).steps == (1,)


def test_recording_to_disk_takes_little_of_the_loop(tmp_path):
    """Not a benchmark (benchmarks/speed/recorder.py is): a guard against copies that come back, in processor time."""
    module = nn.Linear(1000, 1000)
    recorder = Recorder(module, folder=tmp_path)
    spent = []
    for _ in range(8):
        before = time.process_time()
        recorder.step()
        recorder.flush()
        spent.append(time.process_time() - before)
    assert min(spent) < 0.02
