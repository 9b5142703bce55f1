import pytest

from leaq.errors import StoreError
from leaq.study import Store, run_study
from leaq.study import tasks as study_tasks
from leaq.study.failures import Failures
from leaq.study.runner import Rules
from tests.unit.study.cases import guarded
from tests.unit.study.small import small
from tests.unit.study.test_runner import events


def test_records_are_read_once_for_all_seeds(tmp_path, monkeypatch):
    read = []
    real = study_tasks.prepare
    monkeypatch.setattr(
        study_tasks, "prepare", lambda config, **rest: read.append(config.source) or real(config, **rest)
    )
    run_study(small(), tmp_path / "run")
    assert read == ["wine", "diabetes"]


def test_a_failing_cell_is_recorded_and_the_others_go_on(tmp_path, monkeypatch):
    real = study_tasks.chunk

    def broken(config, *args, **options):
        if config.seed == 1 and config.source == "wine":
            raise MemoryError
        return real(config, *args, **options)

    seen = []
    with monkeypatch.context() as patch:
        patch.setattr(study_tasks, "chunk", broken)
        outcome = run_study(small(), tmp_path / "run", watch=seen.append)
    assert (outcome.computed, len(outcome.failures)) == (3, 1)
    failure = outcome.failures[0]
    assert failure.cell == "wine auto 8 seed 1"
    assert "ran out of memory" in failure.reason
    assert "in broken" in failure.traceback
    assert events(seen, "failed") == ["wine auto 8 seed 1"]
    assert [found.reason for found in Failures(tmp_path / "run" / "failed")] == [failure.reason]
    assert "Failed: wine auto 8 seed 1: MemoryError" in outcome.describe()

    again = run_study(small(), tmp_path / "run")
    assert (again.computed, again.found, len(again.failures)) == (0, 3, 1)
    retried = run_study(small(), tmp_path / "run", rules=Rules(retry_failed=True))
    assert (retried.computed, retried.found, retried.failures) == (1, 3, ())
    assert list(Failures(tmp_path / "run" / "failed")) == []


def test_a_full_disk_stops_the_run_and_loses_nothing(tmp_path, monkeypatch):
    real, calls = Store.save, []

    def full(self, key, result):
        calls.append(key)
        if len(calls) == 3:
            raise StoreError("No space left on device")
        real(self, key, result)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "save", full)
        with pytest.raises(StoreError, match="No space left"):
            run_study(small(), tmp_path / "run")
    assert list(Failures(tmp_path / "run" / "failed")) == []
    monkeypatch.setattr(study_tasks, "chunk", guarded(study_tasks.chunk, limit=2))  # the third cell's are stored
    outcome = run_study(small(), tmp_path / "run")
    assert (outcome.computed, outcome.found) == (2, 2)


def test_a_damaged_chunk_is_computed_again(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Store, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run_study(small(data=("wine",), seeds=(0,)), tmp_path / "run")
    chunks = sorted((tmp_path / "run" / "chunks").rglob("*.npz"))
    assert len(chunks) == 2
    data = bytearray(chunks[0].read_bytes())
    data[len(data) // 2] ^= 1
    chunks[0].write_bytes(data)
    with monkeypatch.context() as patch:
        patch.setattr(study_tasks, "chunk", guarded(study_tasks.chunk, limit=1))
        outcome = run_study(small(data=("wine",), seeds=(0,)), tmp_path / "run")
    assert outcome.computed == 1
    run_study(small(data=("wine",), seeds=(0,)), tmp_path / "whole")
    assert (tmp_path / "run" / "results.csv").read_bytes() == (tmp_path / "whole" / "results.csv").read_bytes()
