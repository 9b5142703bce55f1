import pytest
import torch
from safetensors.torch import save_file

from leaq.config import modules_in
from leaq.quantizers import build
from tests.helpers import require
from tests.unit.models.formats import apart


def close(opened, expected, *, least=2, rtol=1e-5):
    found = opened.module.state_dict()
    assert opened.read
    assert len(expected) >= least
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name].float(), tensor.float(), rtol=rtol, atol=1e-7, msg=name)


def known_by(parts):
    """The layouts that take a layer of these parts for theirs."""
    every = modules_in("leaq.models.formats.layouts")
    return [module.__name__.rpartition(".")[2] for module in every if module.LAYOUT.knows(set(parts))]


def rule(spec):
    """What most weights go through, layers that go another way left out."""
    return build(spec).model_copy(update={"first": "same", "last": "same", "others": ""}).spec()


def whole(path, module, **changes):
    save_file({name: t.contiguous() for name, t in {**module.state_dict(), **changes}.items()}, path)
    return path


def written(name, *packages):
    """A fixture: the folder that another process wrote with packages, once for all tests of this file."""

    @pytest.fixture(scope="module", name=name)
    def folder(tmp_path_factory):
        for package in packages:
            require(package)
        return apart.made(packages[0], tmp_path_factory.mktemp(name))

    return folder
