from leaq.study import run_study, stages
from leaq.study import tasks as study_tasks
from leaq.study.runner import Rules
from tests.unit.study.cases import guarded
from tests.unit.study.small import small


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
