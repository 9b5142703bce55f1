"""A recorder's folder read where the model is audited: looked at, never changed, and refused where it is another's."""

import errno
import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from leaq.errors import InvalidInput, NotEnoughEvidence, StoreError
from leaq.system.files import write_pages
from leaq.training.recording import Recorder, read_recording
from leaq.training.recording.reading import Image


@pytest.fixture
def folder(tmp_path):
    """Three checkpoints of a layer whose weights are 1, 2 and 3."""
    net = nn.Linear(3, 2)
    recorder = Recorder(net, folder=tmp_path / "run")
    for value in (1, 2, 3):
        nn.init.constant_(net.weight, value)
        recorder.step()
    recorder.flush()
    return tmp_path / "run"


def contents(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_it_holds_what_was_recorded_and_is_left_as_it_was(folder):
    before = contents(folder)
    folder.chmod(0o500)
    found = read_recording(folder, nn.Linear(3, 2))
    folder.chmod(0o700)
    assert found.batch == (1, 3)
    assert found.steps == (1, 2, 3)
    assert found.params["weight"][0, :, 0, 0].tolist() == [1, 2, 3]
    assert set(found.params) == {"weight", "bias"} == set(found.roles)
    assert contents(folder) == before


def test_a_recording_of_some_weights_holds_those(tmp_path):
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    net[0].requires_grad_(False)
    recorder = Recorder(net, folder=tmp_path / "run", parameters="trainable")
    recorder.step()
    recorder.step()
    recorder.flush()
    assert set(read_recording(tmp_path / "run", net).params) == {"1.weight", "1.bias"}


def test_what_is_no_recording_of_this_model_is_refused(folder, tmp_path):
    with pytest.raises(InvalidInput, match="of the model's own architecture. Not in the model.*: bias, weight. Name"):
        read_recording(folder, nn.Linear(3, 5))
    with pytest.raises(InvalidInput, match="another shape or type: bias, weight"):
        read_recording(folder, nn.Linear(3, 2).double())
    with pytest.raises(StoreError, match="must be the folder of a leaq.Recorder.*There is no such folder"):
        read_recording(tmp_path / "none", nn.Linear(3, 2))
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match="with recording.json in it. There is none"):
        read_recording(tmp_path / "empty", nn.Linear(3, 2))


def test_damage_is_found_before_anything_is_used(folder, tmp_path):
    for name, change, message in (
        (
            "step-000000000002.safetensors",
            lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]),
            "is damaged, or is no checkpoint",
        ),
        ("recording.json", lambda raw: raw.replace(b"float32", b"float16"), "recording.json in .* is damaged"),
    ):
        copy = tmp_path / name
        shutil.copytree(folder, copy)
        (copy / name).write_bytes(change((copy / name).read_bytes()))
        with pytest.raises(StoreError, match=message):
            read_recording(copy, nn.Linear(3, 2))
    shutil.copy(folder / "step-000000000001.safetensors", folder / "step-000000000003.safetensors")  # another step's
    with pytest.raises(StoreError, match="no checkpoint of step 3"):
        read_recording(folder, nn.Linear(3, 2))
    for step in (2, 3):
        (folder / f"step-{step:012d}.safetensors").unlink()
    with pytest.raises(NotEnoughEvidence, match="at least 2 checkpoints. Found 1"):
        read_recording(folder, nn.Linear(3, 2))


def test_what_a_recorder_wrote_is_what_it_reads_again(folder):
    assert json.loads((folder / "recording.json").read_text())["weights"]["weight"] == ["torch.float32", 2, 3]
    again = Recorder(nn.Linear(3, 2), folder=folder)
    assert torch.equal(
        again.checkpoints.params["weight"][0, :3], read_recording(folder, nn.Linear(3, 2)).params["weight"][0]
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_an_image_is_what_safetensors_reads(tmp_path, dtype):
    weights = {
        "a": torch.randn(3, 5).to(dtype),
        "b": torch.randn(()),
        "none": torch.zeros(0, 4),
        "t": torch.randn(4, 6).T,
    }
    image = Image({name: torch.zeros_like(tensor) for name, tensor in weights.items()})
    image.fill(weights)
    write_pages(tmp_path / "x", image.pages, size=image.size)
    found = load_file(tmp_path / "x")
    assert set(found) == set(weights)
    assert all(torch.equal(found[name], tensor) for name, tensor in weights.items())
    assert (tmp_path / "x").stat().st_size == image.size


def test_file_systems_without_direct_writing_are_written_to_all_the_same(tmp_path, monkeypatch):
    real = os.write
    calls = []

    def first_refused(handle, data):
        calls.append(len(data))
        if len(calls) == 1:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return real(handle, data)

    image = Image({"w": torch.ones(5)})
    monkeypatch.setattr(os, "write", first_refused)
    write_pages(tmp_path / "x", image.pages, size=image.size)
    assert load_file(tmp_path / "x")["w"].tolist() == [1] * 5
    assert len(calls) == 2
