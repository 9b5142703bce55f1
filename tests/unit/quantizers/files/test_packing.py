"""Weight files: what is read, what is refused."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from leaq.errors import InvalidInput, StoreError
from leaq.quantizers import Uniform, build, pack, read_weights, unpack
from leaq.quantizers.files.packing import pack_codes, unpack_codes


@pytest.fixture
def weights(tmp_path):
    tensors = {
        "encoder.embed.weight": torch.randn(7, 4),
        "encoder.conv.weight": torch.randn(3, 4, 5),
        "encoder.norm.weight": torch.ones(3),
        "head.weight": torch.randn(2, 3).to(torch.bfloat16),
        "head.bias": torch.zeros(2),
        "steps": torch.tensor([3]),
    }
    save_file(tensors, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_roles_follow_from_shapes_and_patterns(weights):
    read = read_weights(weights, keep=["head.*"], embeddings=["*embed*"])
    assert read.roles["encoder.embed.weight"] == "embedding"
    assert read.roles["encoder.conv.weight"] == "conv1d"
    assert read.roles["head.weight"] == read.roles["steps"] == read.roles["encoder.norm.weight"] == "other"
    assert read_weights(weights).roles["head.weight"] == "linear"
    assert read_weights(weights).roles["head.bias"] == "bias"
    assert read_weights(weights).params["head.weight"].dtype == torch.float32
    assert read.params["steps"].dtype == torch.int64


@pytest.mark.parametrize("spec", ["ternary(sparsity=0.9)", "nf4", "dithered(bits=4)", "float16", "kmeans(bits=3)"])
def test_one_model_without_batch_axes(weights, tmp_path, spec):
    read = read_weights(weights, embeddings=["*embed*"])
    size = pack(read, build(spec), tmp_path / "packed.safetensors")
    again, said = unpack(tmp_path / "packed.safetensors")
    assert said == spec
    assert size.bytes < sum(t.numel() * t.element_size() for t in read.params.values())
    released = build(spec)(read)
    assert all(torch.equal(again.params[name], released.params[name]) for name in read.params)


def test_packed_file_needs_no_pickle_and_names_its_quantizer(weights, tmp_path):
    pack(read_weights(weights), build("uniform(bits=4)"), tmp_path / "packed.safetensors")
    raw = (tmp_path / "packed.safetensors").read_bytes()
    assert b"uniform(bits=4)" in raw
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads(raw)


def test_pickles_are_refused(tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"w": torch.ones(2, 2)}, path)
    with pytest.raises(InvalidInput, match=r"Found a pickled one, and opening it can run any code"):
        read_weights(path)
    renamed = path.rename(tmp_path / "model.safetensors")
    with pytest.raises(InvalidInput, match="Found a pickled one"):
        read_weights(renamed)


def test_missing_file(tmp_path):
    with pytest.raises(InvalidInput, match="There is no weights file"):
        read_weights(tmp_path / "absent.safetensors")


def test_pattern_that_matches_nothing(weights):
    with pytest.raises(InvalidInput, match=r"no parameter matches 'haed\.\*'"):
        read_weights(weights, keep=["haed.*"])


def test_the_name_says_the_format(weights, tmp_path):
    with pytest.raises(InvalidInput, match=r"packed.bin: a packed file must end in .safetensors"):
        pack(read_weights(weights), build("sign"), tmp_path / "packed.bin")


def test_existing_file_is_not_overwritten(weights):
    before = weights.read_bytes()
    with pytest.raises(StoreError, match="the file must not exist yet"):
        pack(read_weights(weights), build("sign"), weights)
    assert weights.read_bytes() == before


def test_packed_twice_is_refused(weights, tmp_path):
    pack(read_weights(weights), build("sign"), tmp_path / "packed.safetensors")
    with pytest.raises(InvalidInput, match="is packed already with sign"):
        read_weights(tmp_path / "packed.safetensors")
    with pytest.raises(StoreError, match="must be a packed file of format leaq-packed-1. Found 'none'"):
        unpack(weights)


def test_weights_beyond_float16_are_refused(weights):
    read = read_weights(weights)
    read.params["encoder.conv.weight"][0, 0, 0] = 1e6
    with pytest.raises(InvalidInput, match=r"float16: weights must lie within \+-65504. Found 1 beyond it"):
        build("float16")(read)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**16), bits=st.integers(1, 8), count=st.integers(1, 23))
def test_packing(seed, bits, count):
    scheme = Uniform(bits=bits, symmetric=False)
    codes = torch.from_numpy(np.random.default_rng(seed).integers(0, 2**bits, (2, count)))
    packed = pack_codes(codes, scheme)
    for row, raw in zip(codes.tolist(), packed.tolist(), strict=True):
        number = sum(code << (bits * i) for i, code in enumerate(row))  # one long integer, low bits first
        assert bytes(raw) == number.to_bytes(len(raw), "little")
    assert packed.shape[1] == scheme.code_bytes(count) == -(-bits * count // 8)
    assert torch.equal(unpack_codes(packed, scheme, count).long(), codes)


def test_packing_trits():
    scheme = build("ternary(sparsity=0.5)")
    codes = torch.tensor([[0, 1, 2, 2, 1, 0, 2]])
    packed = pack_codes(codes, scheme)
    assert packed.tolist() == [[0 + 3 + 2 * 9 + 2 * 27 + 81, 0 + 2 * 3]]
    assert torch.equal(unpack_codes(packed, scheme, 7).long(), codes)
