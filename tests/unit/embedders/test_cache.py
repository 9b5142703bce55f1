import numpy as np
import pytest

from leaq.embedders import cache
from leaq.embedders.base import Encoded
from leaq.embedders.fingerprints import Maccs, Morgan
from tests.helpers import require

SMILES = ["CCO", "CCN", "c1ccccc1"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    require("rdkit")
    monkeypatch.setenv("LEAQ_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("LEAQ_CACHE", "all")
    return tmp_path / "embeddings"


class Counting:
    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return Encoded(np.arange(6).reshape(3, 2), {2: "why"})


def test_the_second_time_nothing_is_computed():
    compute = Counting()
    first = cache.cached(Morgan(), SMILES, compute)
    again = cache.cached(Morgan(), SMILES, compute)
    assert compute.calls == 1
    np.testing.assert_array_equal(first.features, again.features)
    assert again.failed == {2: "why"}


def test_the_key_changes_with_everything_the_features_depend_on(monkeypatch):
    key = cache.cache_key(Morgan(), SMILES)
    others = [
        cache.cache_key(Morgan(radius=3), SMILES),
        cache.cache_key(Maccs(), SMILES),
        cache.cache_key(Morgan(), SMILES[::-1]),
        cache.cache_key(Morgan(), [*SMILES, "C"]),
    ]
    monkeypatch.setattr(Morgan, "fingerprint_of_code", lambda _: "another RDKit")
    others.append(cache.cache_key(Morgan(), SMILES))
    assert len({key, *others}) == 6


def test_a_damaged_file_is_made_again(folder):
    compute = Counting()
    cache.cached(Morgan(), SMILES, compute)
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:-40])
    again = cache.cached(Morgan(), SMILES, compute)
    assert compute.calls == 2
    assert again.failed == {2: "why"}
    cache.cached(Morgan(), SMILES, compute)
    assert compute.calls == 2


def test_files_are_whole_and_private(folder):
    cache.cached(Morgan(), SMILES, Counting())
    (path,) = folder.iterdir()
    assert path.suffix == ".npz"
    assert path.stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0


def test_cheap_work_is_not_kept_unless_asked_for(folder, monkeypatch):
    monkeypatch.setenv("LEAQ_CACHE", "")
    cache.cached(Morgan(), SMILES, Counting())
    assert not folder.exists()


def test_the_cache_can_be_switched_off(folder, monkeypatch):
    monkeypatch.setenv("LEAQ_CACHE", "off")
    monkeypatch.setattr(cache, "WORTHWHILE", 0.0)
    compute = Counting()
    cache.cached(Morgan(), SMILES, compute)
    cache.cached(Morgan(), SMILES, compute)
    assert compute.calls == 2
    assert not folder.exists()


def test_another_sets_embedding_is_never_taken_nor_a_widened_one(folder):
    compute = Counting()
    cache.cached(Morgan(), SMILES, compute)
    cache.cached(Morgan(), SMILES[::-1], compute)
    one, other = folder.iterdir()
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    cache.cached(Morgan(), SMILES, compute)
    cache.cached(Morgan(), SMILES[::-1], compute)
    assert compute.calls == 4
    np.savez_compressed(one, features=np.zeros((3, 99)), rows=np.array([2]), reasons=np.array(["why"]))
    cache.cached(Morgan(), SMILES, compute)
    cache.cached(Morgan(), SMILES[::-1], compute)
    assert compute.calls == 5


def test_damage_anywhere_is_made_again_and_never_raised(folder, rng):
    compute = Counting()
    cache.cached(Morgan(), SMILES, compute)
    (path,) = folder.iterdir()
    content = path.read_bytes()
    for trial in range(60):
        damaged = bytearray(content)
        damaged[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        cache.cached(Morgan(), SMILES, compute)
        assert compute.calls == 2 + trial
