"""A model in several files: all are read, one that is missing is named."""

import json

import pytest
import torch
from safetensors.torch import save_file

from leaq.errors import InvalidInput, StoreError
from leaq.models.formats.shards import indexed, numbered
from leaq.pipeline.finished.shipped import open_shipped
from tests.helpers import require
from tests.unit.models.formats.producers import gguf_file, net

NAMES = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]


@pytest.fixture
def folder(tmp_path):
    state = list(net().state_dict().items())
    for name, part in zip(NAMES, (state[:3], state[3:]), strict=True):
        save_file(dict(part), tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("given", ["", *NAMES])
def test_files_that_name_their_number_are_read_together(folder, given):
    opened = open_shipped(folder / given, net(), name="m")
    assert all(torch.equal(opened.module.state_dict()[name], tensor) for name, tensor in net().state_dict().items())


@pytest.mark.parametrize("by", ["name", "index"])
def test_a_missing_file_is_named(folder, by):
    if by == "index":
        index = {"weight_map": {name: NAMES[i > 2] for i, name in enumerate(net().state_dict())}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / NAMES[1]).unlink()
    with pytest.raises(StoreError, match="Missing: model-00002-of-00002.safetensors of 2. Copy them beside the others"):
        open_shipped(folder if by == "index" else folder / NAMES[0], net(), name="m")


def test_an_index_that_leads_elsewhere_or_is_none_is_refused(folder):
    index = folder / "model.safetensors.index.json"
    for given in ("../a.safetensors", "/etc/passwd"):
        index.write_text(json.dumps({"weight_map": {"a": given}}))
        with pytest.raises(InvalidInput, match="must lie in the folder of their index"):
            indexed(index)
    for text in ("[]", "{}", "no", '{"weight_map": {"a": 1}}', '{"weight_map": {}}'):
        index.write_text(text)
        with pytest.raises(StoreError):
            indexed(index)


def test_a_gguf_file_in_parts_is_read_whole(tmp_path):
    require("gguf")
    module = net()
    expected = gguf_file(tmp_path / "whole.gguf", module, "Q4_0")
    halves = [torch.nn.Module(), torch.nn.Module()]
    for i, layer in enumerate((module[0], module[2], module[4])):
        halves[i > 0].add_module(str(2 * i), layer)
    for i, half in enumerate(halves, start=1):
        part = lambda writer, i=i: writer.add_uint16("split.count", 2) or writer.add_uint16("split.no", i - 1)  # noqa: E731
        gguf_file(tmp_path / f"m-0000{i}-of-00002.gguf", half, "Q4_0", about=part)
    opened = open_shipped(tmp_path / "m-00001-of-00002.gguf", module, name="m")
    assert all(torch.equal(opened.module.state_dict()[name], tensor) for name, tensor in expected.items())
    (tmp_path / "m-00001-of-00002.gguf").rename(tmp_path / "renamed.gguf")
    with pytest.raises(StoreError, match="it says that it is one of 2 files, and its name does not say which"):
        open_shipped(tmp_path / "renamed.gguf", module, name="m")


def test_other_names_stand_for_themselves(tmp_path):
    path = tmp_path / "a-00001-of-00002.safetensors"
    assert numbered(path) == [path]  # not there: whoever opens it says so
    assert numbered(tmp_path / "b.gguf") == [tmp_path / "b.gguf"]
