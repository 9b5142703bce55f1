import tracemalloc

import numpy as np
import pytest

from leaq.attacks import blocks
from leaq.attacks.blocks import SAMPLE, Block, Sample, kept, parquet_blocks
from leaq.attacks.lira import Lira
from leaq.attacks.rmia import Rmia
from leaq.attacks.streamed import streamed
from leaq.errors import InvalidInput, NotEnoughEvidence
from tests.unit.attacks.cases import cut, tables


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


def test_memory_does_not_grow_with_the_records(monkeypatch):
    monkeypatch.setattr(blocks, "KEPT", 0)

    def records(count):
        def again():
            each = np.random.default_rng(1)
            for _ in range(count):
                members = each.random((2, 20_000)) < 0.5
                yield Block(members, each.exponential(np.where(members, 0.5, 1.0)))

        return again

    peaks = []
    for count in (4, 16):
        tracemalloc.start()
        streamed(records(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


def test_a_file_is_not_read_ahead(rng, tmp_path):
    """All of its row groups were held from the first record on: 1.5 GB for ten million records of eight models."""
    pa, parquet = (pytest.importorskip(name) for name in ("pyarrow", "pyarrow.parquet"))
    path, peak = tmp_path / "losses.parquet", 0
    table = pa.table({"member": rng.random(600_000) < 0.5, "loss": rng.random(600_000)})
    parquet.write_table(table, path, row_group_size=20_000)
    before = pa.total_allocated_bytes()
    for _ in parquet_blocks(path, records=10_000)():
        peak = max(peak, pa.total_allocated_bytes() - before)
    assert peak < path.stat().st_size / 2


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
    with pytest.raises(InvalidInput, match="losses must be finite"):
        streamed(parquet_blocks(path))
    parquet.write_table(pa.table({"member": [1, 2], "loss": [0.1, 0.2]}), path)
    with pytest.raises(InvalidInput, match="members must be true or false, or 1 and 0. Found int64"):
        streamed(parquet_blocks(path))
    parquet.write_table(pa.table({"member_0": [True], "member_2": [True], "loss_0": [0.1], "loss_2": [0.1]}), path)
    with pytest.raises(InvalidInput, match=r"must count the models without a gap\. Found 0, 2"):
        parquet_blocks(path)
    with pytest.raises(NotEnoughEvidence, match="at least 4 members and 4 non-members. Found 2 and 48"):
        streamed(lambda: [Block(np.arange(50)[None] < 2, losses[:1, :50])])


def test_memberships_of_ones_and_zeros_are_memberships(rng, tmp_path):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    members, losses = rng.integers(0, 2, 400), rng.exponential(size=400)
    found = []
    for kind in (bool, np.int64, np.float64):
        parquet.write_table(pa.table({"member": members.astype(kind), "loss": losses}), tmp_path / "x.parquet")
        found.append(streamed(parquet_blocks(tmp_path / "x.parquet"))["threshold"].advantage)
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(("room", "reads"), [(2**20, 1), (100, 3)])
def test_small_tables_are_read_once_and_large_ones_each_time(room, reads, rng, monkeypatch):
    members, losses, scores = tables(rng)
    whole, asked = cut(members, losses, scores, 701), []
    known = [block.losses for block in whole()]
    monkeypatch.setattr(blocks, "KEPT", room)
    given = kept(lambda: asked.append(1) or whole())
    for _ in range(3):
        assert all(np.array_equal(one.losses, loss) for one, loss in zip(given(), known, strict=True))
    assert len(asked) == reads


def test_a_table_that_was_not_read_to_its_end_is_read_again(rng):
    given = kept(cut(*tables(rng), 701))
    next(iter(given()))
    assert sum(block.members.shape[1] for block in given()) == 3000


def test_a_sample_is_from_everywhere_alike():
    """Every record is as likely to be kept, whenever it comes and in whatever blocks."""
    n, tenth = 20 * SAMPLE, 2 * SAMPLE
    for size in (SAMPLE // 3, 3 * SAMPLE):
        sample = Sample()
        for start in range(0, n, size):
            place = np.arange(start, min(start + size, n), dtype=np.float64)[None]
            sample.add(Block(place < 0, losses=place))
        places = sample.block.losses[0]
        assert len(np.unique(places)) == len(places) == SAMPLE
        counts = np.bincount((places // tenth).astype(int), minlength=10)
        expected = SAMPLE / 10
        assert ((counts - expected) ** 2 / (expected * 0.9)).sum() < 35  # chi-square of 9: above it 1 in 17,000


@pytest.mark.parametrize(
    ("block", "text"),
    [
        (Block(np.ones(9, bool), np.ones(9)), r"members must have shape \(any, any\). Found \(9,\)"),
        (Block(np.ones((1, 9), bool), np.ones((1, 4))), r"losses must have shape \(1, 9\). Found \(1, 4\)"),
        (Block(np.full((1, 9), -1), np.ones((1, 9))), "members must be true or false, or 1 and 0. Found int64 such as"),
        (Block(np.ones((1, 9), bool), np.full((1, 9), np.nan)), "losses must be finite. Found 9"),
    ],
)
def test_blocks_of_ones_own_are_what_they_must_be(block, text):
    with pytest.raises(InvalidInput, match=text):
        streamed(lambda: [block])


def test_what_gives_no_blocks_anew_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="must be a function that gives the records anew"):
        streamed(iter([]))
    (tmp_path / "l.parquet").write_text("member,loss")
    with pytest.raises(InvalidInput, match="must be a Parquet file"):
        parquet_blocks(tmp_path / "l.parquet")
    with pytest.raises(InvalidInput, match="There is no file"):
        parquet_blocks(tmp_path / "m.parquet")
