import errno
import os

import pytest
import torch
from safetensors.torch import load_file

from leaq.system.files import write_pages
from leaq.training.recording.image import Image


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
