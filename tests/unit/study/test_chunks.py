import numpy as np
import pytest

from leaq.errors import StoreError
from leaq.results import Size
from leaq.study.chunks import ChunkStore
from leaq.types import Flag, LossTable

SIZE = Size(2.5, 2.1, 90, 12.8)


def table(rng):
    return LossTable(
        losses=rng.exponential(size=(2, 1, 6)),
        members=np.arange(12).reshape(2, 6) % 2 == 0,
        task="classification",
        game="pool",
        n_train=3,
        scores=rng.normal(size=(2, 6)),
        targets=np.arange(6) % 2,
        numbers={"scaler": rng.normal(size=(2, 3))},
        flags=(Flag("doubt", "A doubt."),),
    )


def test_a_chunk_comes_back_to_the_bit(tmp_path, rng):
    put, chunks = table(rng), ChunkStore(tmp_path)
    chunks.put("models-0-2", {"sign": (put, SIZE), "uniform(bits=4)": (put, SIZE)})
    found = ChunkStore(tmp_path).get("models-0-2")
    assert list(found) == ["sign", "uniform(bits=4)"]
    got, size = found["sign"]
    assert (size, got.flags, got.n_train, got.game) == (SIZE, put.flags, 3, "pool")
    for name in ("losses", "members", "scores", "targets"):
        np.testing.assert_array_equal(getattr(got, name), getattr(put, name))
    np.testing.assert_array_equal(got.numbers["scaler"], put.numbers["scaler"])
    assert got.outputs is None
    assert chunks.get("models-2-4") is None
    assert chunks.damaged == []


@pytest.mark.parametrize("damage", [b"", b"PK", None])
def test_a_damaged_chunk_is_absent_and_named(tmp_path, rng, damage):
    chunks = ChunkStore(tmp_path)
    for name in ("models-0-2", "models-2-4"):
        chunks.put(name, {"sign": (table(rng), SIZE)})
    path = tmp_path / "models-0-2.npz"
    path.write_bytes((tmp_path / "models-2-4.npz").read_bytes() if damage is None else damage)  # None: a sibling's
    assert chunks.get("models-0-2") is None
    assert chunks.damaged == [path]
    with pytest.raises(StoreError):
        chunks.check("models-0-2")
    chunks.check("models-2-4")
