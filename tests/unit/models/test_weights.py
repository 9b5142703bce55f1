import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from leaq.errors import InvalidInput, LeaqError, StoreError
from leaq.models.weights import architecture, check_match, open_weights, read_tensors


def net(width=3):
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width), nn.Linear(width, 2))


def test_tensors_of_every_type_are_read_as_the_package_reads_them(tmp_path):
    kinds = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)
    stored = {str(kind): torch.linspace(-3, 3, 12).reshape(3, 4).to(kind) for kind in kinds}
    whole = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)
    stored |= {str(kind): torch.arange(6).to(kind) for kind in whole}
    stored |= {"none": torch.empty(0, 3), "one": torch.tensor(2.5), "c": torch.ones(2, dtype=torch.complex64)}
    save_file(stored, tmp_path / "w.safetensors")
    found, wanted = read_tensors(tmp_path / "w.safetensors")[0], load_file(tmp_path / "w.safetensors")
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert (found[name].dtype, found[name].shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(found[name].contiguous().view(-1), tensor.view(-1)), name


def test_mapped_numbers_are_written_in_memory_alone(tmp_path):
    save_file({"w": torch.ones(3, 2), "half": torch.ones(2).half()}, tmp_path / "w.safetensors")
    opened = open_weights(tmp_path / "w.safetensors")
    assert opened.mapped("half") is None
    mapped = opened.mapped("w")
    mapped[0] = 7
    assert torch.equal(opened.get("w"), torch.ones(3, 2))
    assert opened.shapes == {"half": (2,), "w": (3, 2)}
    assert opened.wide == 4 * 6 + 4 * 2


def test_a_file_that_was_cut_after_it_was_opened_is_named(tmp_path):
    save_file({"w": torch.ones(3, 2)}, tmp_path / "w.safetensors")
    opened = open_weights(tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").write_bytes((tmp_path / "w.safetensors").read_bytes()[:-4])
    with pytest.raises(StoreError, match="w.safetensors: 'w' cannot be read .the file ends early"):
        opened.get("w")


@pytest.mark.parametrize("name", ["w.pt", "w.bin", "hidden.safetensors"])
def test_pickled_weights_are_refused_with_the_safe_way(tmp_path, name):
    torch.save(net().state_dict(), tmp_path / name)
    with pytest.raises(InvalidInput, match=r"can run any code.*save_file\(torch.load\(path, weights_only=True\)"):
        read_tensors(tmp_path / name)


def test_a_plain_pickle_is_never_opened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was opened",))

    (tmp_path / "w.safetensors").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InvalidInput, match="Found a pickled one"):
        read_tensors(tmp_path / "w.safetensors")


def test_missing_and_damaged_files_are_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"There is no weights file '.*w\.safetensors'"):
        read_tensors(tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").write_bytes(b"no weights at all, but long enough")
    with pytest.raises(StoreError, match="no readable safetensors file"):
        read_tensors(tmp_path / "w.safetensors")


def test_another_architecture_is_named():
    wrong = dict(net(4).state_dict())
    wrong["extra"] = torch.zeros(1)
    del wrong["2.bias"]
    with pytest.raises(InvalidInput, match=r"missing: 2.bias; unexpected: extra; shapes: 0.weight is \(4, 2\), not"):
        check_match(net(), wrong)


def test_an_architecture_is_imported_from_a_folder(tmp_path):
    (tmp_path / "own_nets_a.py").write_text("from torch import nn\ndef make():\n    return nn.Linear(2, 2)\nX = 3\n")
    assert isinstance(architecture("own_nets_a:make", folder=tmp_path), nn.Linear)
    with pytest.raises(InvalidInput, match="has no function 'mak'. Did you mean 'make'"):
        architecture("own_nets_a:mak", folder=tmp_path)
    with pytest.raises(InvalidInput, match="must read file.py:function or module:function"):
        architecture("own_nets_a", folder=tmp_path)
    with pytest.raises(InvalidInput, match="cannot be imported from here"):
        architecture("no_such_nets:make", folder=tmp_path)
    (tmp_path / "own_nets_b.py").write_text("def make():\n    return 3\n")
    with pytest.raises(InvalidInput, match=r"must return a torch.nn.Module. Found int"):
        architecture("own_nets_b:make", folder=tmp_path)


@pytest.mark.parametrize("length", [0x280, 0x380, 0x480, 0x580, 0x4B50])  # b"\x80\x02" ..., and b"PK", in the file
def test_a_header_whose_length_looks_like_a_pickle_is_none(tmp_path, length):
    save_file({"w": torch.ones(2)}, tmp_path / "w.safetensors")
    content = (tmp_path / "w.safetensors").read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = content[8:start].rstrip().ljust(length)  # the format allows spaces at the end of its header
    (tmp_path / "w.safetensors").write_bytes(length.to_bytes(8, "little") + header + content[start:])
    assert torch.equal(read_tensors(tmp_path / "w.safetensors")[0]["w"], torch.ones(2))


def test_an_architecture_that_cannot_be_built_says_why(tmp_path):
    (tmp_path / "own_nets_c.py").write_text("def make(width):\n    return None\n")
    with pytest.raises(InvalidInput, match="the network could not be built .TypeError: make.. missing 1"):
        architecture("own_nets_c:make", folder=tmp_path)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n", "git lfs pull"),
        (b"\xef\xbb\xbf<html><head></head></html>", "a web page"),
        (b"\x89HDF\r\n\x1a\n" + bytes(90), "an HDF5 file, as Keras writes"),
    ],
)
def test_files_that_hold_no_safetensors_are_called_what_they_are(tmp_path, content, text):
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(LeaqError, match=text):
        open_weights(tmp_path / "w.safetensors")


def test_an_archive_of_arrays_is_called_no_pickle(tmp_path):
    np.savez(tmp_path / "w.npz", a=np.zeros((2, 2)))
    with pytest.raises(InvalidInput, match=r"an archive of NumPy arrays.*safetensors\.numpy\.save_file"):
        open_weights(tmp_path / "w.npz")
