"""What is streamed is what is found in memory, whatever the blocks, and in memory that does not grow."""

import tracemalloc

import numpy as np
import pytest

from leaq.attacks.blocks import Block, parquet_blocks
from leaq.attacks.calibrated import Calibrated
from leaq.attacks.lira import Lira
from leaq.attacks.rmia import Rmia
from leaq.attacks.scoring import Protocol
from leaq.attacks.streamed import streamed
from leaq.attacks.threshold import Threshold
from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.types import LossTable, NotComputed

ATTACKS = (Threshold(), Calibrated(normalise=False), Lira(normalise=False), Lira(mode="offline", normalise=False))


def tables(rng, *, models=12, n=3000):
    """Members of complementary halves, margins that membership moves by about what models vary by."""
    inside = np.stack([rng.permutation(n) < n // 2 for _ in range(models // 2)])
    members = np.stack([inside, ~inside], axis=1).reshape(models, n)
    scores = rng.normal(0, 2, n) + rng.normal(size=(models, n)) + 0.8 * members
    return members, np.logaddexp(0, -scores), scores


def cut(members, losses, scores, size):
    return lambda: [
        Block(members[:, i : i + size], losses[:, i : i + size], scores[:, i : i + size])
        for i in range(0, members.shape[1], size)
    ]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.spec())
@pytest.mark.parametrize("size", [3000, 701, 2999], ids=["one block", "several", "a last one of one record"])
def test_it_is_what_is_found_in_memory(attack, size, rng):
    members, losses, scores = tables(rng)
    table = LossTable(losses[:, None], members, "classification", "pool", 1500, scores=scores)
    known = attack(table)
    (found,) = streamed(cut(members, losses, scores, size), [attack]).values()
    assert found.auc.value == pytest.approx(known.auc.value, abs=1e-3)
    assert found.advantage.value == pytest.approx(known.advantage.value, abs=0.012)
    assert found.tpr[0.01].value == pytest.approx(known.tpr[0.01].value, abs=0.01)
    assert found.told is known.told or isinstance(attack, Threshold)
    width, expected = (one.advantage.high - one.advantage.low for one in (found, known))
    assert 0.5 < width / expected < 1.6
    assert isinstance(found.epsilon, NotComputed)


def test_nothing_is_found_where_nothing_leaks(rng):
    members, _, scores = tables(rng)
    scores = scores - 0.8 * members
    for found in streamed(cut(members, np.logaddexp(0, -scores), scores, 1000)).values():
        assert found.advantage.low < 0 < found.advantage.high
        assert found.auc.low < 0.5 < found.auc.high


def test_one_model_is_attacked_by_its_losses(rng):
    members = rng.random((1, 20_000)) < 0.3
    losses = rng.exponential(np.where(members, 0.2, 1.0))
    found = streamed(lambda: [Block(members, losses)], protocol=Protocol(seed=3))["threshold"]
    assert found.advantage.low < 0.535 < found.advantage.high  # exponentials: the best possible
    assert found.told
    assert found.advantage.high - found.advantage.low < 0.06


def test_a_parquet_file_is_read_a_block_at_a_time(rng, tmp_path):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    members, losses, scores = tables(rng, models=8)
    columns = {f"member_{i}": row for i, row in enumerate(members)}
    columns |= {f"loss_{i}": row for i, row in enumerate(losses)} | {f"score_{i}": row for i, row in enumerate(scores)}
    parquet.write_table(pa.table(columns), tmp_path / "losses.parquet")
    found = streamed(parquet_blocks(tmp_path / "losses.parquet", records=800))
    assert list(found) == ["threshold", "calibrated(normalise=False)", "lira(normalise=False)"]
    known = streamed(cut(members, losses, scores, 800))
    assert {name: one.advantage for name, one in found.items()} == {name: one.advantage for name, one in known.items()}


def test_memory_does_not_grow_with_the_records(rng):
    def blocks(count):
        def again():
            each = np.random.default_rng(1)
            for _ in range(count):
                members = each.random((2, 20_000)) < 0.5
                yield Block(members, each.exponential(np.where(members, 0.5, 1.0)))

        return again

    peaks = []
    for count in (4, 16):
        tracemalloc.start()
        streamed(blocks(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


def test_bad_input_is_refused(rng, tmp_path):
    members, losses, scores = tables(rng, models=8, n=200)
    with pytest.raises(InvalidInput, match=r"rmia.* compares records with each other and cannot be streamed"):
        streamed(cut(members, losses, scores, 100), [Rmia()])
    with pytest.raises(NotEnoughEvidence, match="needs the score of every record under every model. Found none"):
        streamed(lambda: [Block(members, losses)], [Lira(normalise=False)])
    with pytest.raises(NotEnoughEvidence, match="There are no records to attack"):
        streamed(lambda: [])
    with pytest.raises(NotEnoughEvidence, match="needs members and non-members"):
        streamed(lambda: [Block(np.ones((1, 50), bool), losses[:1, :50])])
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "x.parquet"
    parquet.write_table(pa.table({"member_0": [True], "member_1": [True], "loss_0": [0.1]}), path)
    with pytest.raises(InvalidInput, match="Found 2 of member, 1 of loss, 0 of score"):
        parquet_blocks(path)
    parquet.write_table(pa.table({"member": [True, False], "loss": [0.1, float("nan")]}), path)
    with pytest.raises(InvalidInput, match="loss columns must be finite numbers"):
        streamed(parquet_blocks(path))
    parquet.write_table(pa.table({"member": [1, 0], "loss": [0.1, 0.2]}), path)
    with pytest.raises(InvalidInput, match="member columns must be true or false. Found int64"):
        streamed(parquet_blocks(path))
