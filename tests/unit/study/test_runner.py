import numpy as np
import pandas as pd
import pytest

from leaq.errors import InvalidInput, StoreError
from leaq.study import Store, run_study, stages
from leaq.study import tasks as study_tasks
from leaq.study.engines.local import Local
from leaq.study.failures import Failures
from leaq.study.runner import Rules, Runner
from leaq.study.sources import missing
from leaq.system.locks import Claim
from tests.unit.study.small import small


def events(seen, kind):
    return [event.cell for event in seen if event.kind == kind]


def test_every_cell_is_computed_once_and_found_again(tmp_path):
    study, seen = small(), []
    first = run_study(study, tmp_path / "run", watch=seen.append)
    assert (first.computed, first.found, first.failures) == (4, 0, ())
    assert seen[0].kind == "plan"
    assert "4 cells (2 pairs of data set and embedder), 16 models to train" in seen[0].text
    assert "each serves 2 quantizers" in seen[0].text
    estimate = next(event for event in seen if event.kind == "estimate")
    assert estimate.seconds > 0
    assert "GiB a task" in estimate.text
    assert seen[-1].share == 1
    again = run_study(study, tmp_path / "run")
    assert (again.computed, again.found) == (0, 4)


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


def test_all_that_is_missing_is_named_before_anything_is_computed(tmp_path):
    lost = [{"source": str(tmp_path / name), "target": "y"} for name in ("none.csv", "nil.csv")]
    study = small(data=("wine", *lost))
    with pytest.raises(InvalidInput, match=r"Nothing was computed: .*nil.csv, .*none.csv cannot be found. There is no"):
        run_study(study, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_with_leave_the_cells_of_a_missing_source_fail_and_the_others_are_computed(tmp_path):
    study = small(data=("wine", {"source": str(tmp_path / "none.csv"), "target": "y"}))
    outcome = run_study(study, tmp_path / "run", rules=Rules(allow_missing=True))
    assert (outcome.computed, len(outcome.failures)) == (2, 2)
    assert outcome.describe().count("There is no file") == 1
    assert "none_csv auto 8 seed 0 and 1 more" in outcome.describe()


def test_missing_weights_are_named_with_the_embedder(tmp_path, monkeypatch):
    monkeypatch.setenv("LEAQ_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.setenv("LEAQ_CACHE_DIR", str(tmp_path))
    cells = small(data=("wine",), embedders=("chemvae_zinc", "maccs")).cells()
    found = missing(cells)
    assert list(found) == ["chemvae_zinc"]
    assert "chemvae_zinc.safetensors" in found["chemvae_zinc"]


def test_a_gpu_that_is_not_there_is_named_before_anything_is_computed(tmp_path, monkeypatch):
    monkeypatch.setattr(Local, "has_cuda", False)
    with pytest.raises(InvalidInput, match="needs a CUDA GPU where tasks run. The engine finds none"):
        run_study(small(device="cuda"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_losses_that_are_kept_are_measured_anew_without_training(tmp_path, monkeypatch):
    """A new version whose measures differ: other cell keys, the same chunks."""
    study, rules = small(data=("wine",), seeds=(0,)), Rules(keep_losses=True)
    run_study(study, tmp_path / "run", rules=rules)
    table = (tmp_path / "run" / "results.csv").read_bytes()
    assert len(list((tmp_path / "run" / "chunks").rglob("*.npz"))) == 2
    monkeypatch.setattr(stages, "STAGES", {**stages.STAGES, "measure": stages.STAGES["measure"] + 1})
    monkeypatch.setattr(study_tasks, "chunk", guarded(study_tasks.chunk, limit=0))
    outcome = run_study(study, tmp_path / "run", rules=rules)
    assert (outcome.computed, outcome.found, outcome.failures) == (1, 0, ())
    assert (tmp_path / "run" / "results.csv").read_bytes() == table
    run_study(study, tmp_path / "run")  # told to keep them no longer
    assert list((tmp_path / "run" / "chunks").rglob("*.npz")) == []


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
    monkeypatch.setattr(study_tasks, "chunk", guarded(study_tasks.chunk, limit=2))  # the third cell's are on the shelf
    outcome = run_study(small(), tmp_path / "run")
    assert (outcome.computed, outcome.found) == (2, 2)


def guarded(real, limit):
    calls = []

    def count(*args, **options):
        calls.append(1)
        assert len(calls) <= limit, "a chunk was computed twice"
        return real(*args, **options)

    return count


def test_a_damaged_cell_is_computed_again_and_reported(tmp_path):
    run_study(small(), tmp_path / "run")
    table = (tmp_path / "run" / "results.csv").read_bytes()
    path = min((tmp_path / "run" / "cells").glob("wine*[0-9a-f].json"))
    path.write_bytes(path.read_bytes()[:100])
    seen = []
    outcome = run_study(small(), tmp_path / "run", watch=seen.append)
    assert (outcome.computed, outcome.found) == (1, 3)
    assert [aside.name for aside in outcome.damaged] == [path.with_suffix(".damaged").name]
    assert "1 damaged files were set aside" in outcome.describe()
    assert len(events(seen, "damaged")) == 1
    assert (tmp_path / "run" / "results.csv").read_bytes() == table


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


def test_what_another_process_computes_is_left_to_it(tmp_path, monkeypatch):
    """The claim of one cell is held elsewhere and given up unfinished after a while: then it is ours."""
    study = small(data=("wine",))
    probe = run_study(study, tmp_path / "probe")
    keys = sorted(path.name for path in (tmp_path / "probe" / "locks").glob("wine-*"))
    assert probe.computed == len(keys) == 2
    store = Store.open(tmp_path / "run", study)
    held = Claim.take(store.folder / "locks" / keys[0])
    looks = []

    def look(_seconds):
        looks.append(1)
        if len(looks) == 2:
            held.release()

    monkeypatch.setattr("leaq.study.runner.time.sleep", look)
    seen = []
    outcome = run_study(study, tmp_path / "run", watch=seen.append)
    assert outcome.computed == 2
    assert len(looks) == 2
    kinds = [event.kind for event in seen if event.kind != "stage"]
    assert kinds.index("elsewhere") < len(kinds) - 1 - kinds[::-1].index("done")
    assert len(events(seen, "done")) == 2


def test_changed_records_never_read_a_stale_result(tmp_path, rng):
    path = tmp_path / "my.csv"
    frame = pd.DataFrame({"a": rng.normal(size=60), "y": np.arange(60) % 2})
    frame.to_csv(path, index=False)
    study = small(data=({"source": str(path), "target": "y"},), seeds=(0,))
    run_study(study, tmp_path / "run")
    before = (tmp_path / "run" / "results.csv").read_bytes()
    frame.assign(a=frame["a"] * (1 + np.arange(60))).to_csv(path, index=False)
    outcome = run_study(study, tmp_path / "run")
    assert outcome.computed == 1
    assert (tmp_path / "run" / "results.csv").read_bytes() != before
    assert len(Store(tmp_path / "run").finished()) == 1


def test_on_failure_raise_lets_the_error_out(tmp_path):
    study = small(data=({"source": str(tmp_path / "none.csv"), "target": "y"},))
    store = Store.open(tmp_path / "run", study)
    with pytest.raises(ValueError, match="There is no file"):
        Runner(store, study.cells(), Local(), rules=Rules(on_failure="raise")).run()
