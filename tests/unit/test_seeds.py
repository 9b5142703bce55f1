import subprocess
import sys

import numpy as np
import torch

from leaq.seeds import stream, torch_stream


def test_a_stream_depends_on_its_name_alone():
    stream(0, "other").random(1000)
    assert stream(0, "split", 3).random() == stream(0, "split", 3).random()


def test_names_and_seeds_give_different_streams():
    draws = {
        float(stream(seed, *names).random()) for seed in (0, 1) for names in (("a",), ("b",), ("a", 0), ("a", "0"))
    }
    assert len(draws) == 8


def test_the_same_numbers_in_another_process():
    code = "from leaq.seeds import stream; print(repr(float(stream(7, 'x', 1).random())))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert float(printed) == stream(7, "x", 1).random()


def test_torch_stream_is_reproducible_and_on_the_cpu():
    generator = torch_stream(5, "init", 0)
    assert generator.device.type == "cpu"
    first = torch.rand(3, generator=generator)
    assert torch.equal(first, torch.rand(3, generator=torch_stream(5, "init", 0)))


def test_no_global_state_is_touched():
    before_numpy = np.random.get_state()[1].tobytes()  # noqa: NPY002 - the global state is what is tested
    before_torch = torch.random.get_rng_state()
    torch_stream(1, "x")
    stream(1, "x").random()
    assert np.random.get_state()[1].tobytes() == before_numpy  # noqa: NPY002
    assert torch.equal(torch.random.get_rng_state(), before_torch)
