import numpy as np
import pandas as pd
import pytest

from leaq.errors import InvalidInput
from leaq.pipeline import AuditConfig, audit
from leaq.study import audit_into, run_study
from leaq.study.runner import Rules
from leaq.training import TrainingConfig
from tests.unit.study.small import small


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


QUICK = TrainingConfig(hidden=(8,), epochs=2, checkpoints=2)
CONFIG = AuditConfig(
    source="wine", quantizers=("sign",), replicates=4, attacks=("threshold",), draws=20, training=QUICK
)


def test_a_kept_audit_is_the_audit_and_is_read_the_second_time(tmp_path):
    started = []
    first = audit_into(CONFIG, tmp_path / "run", watch=lambda event: started.append((1, event.kind)))
    again = audit_into(CONFIG, tmp_path / "run", watch=lambda event: started.append((2, event.kind)))
    assert [entry for entry in started if entry[1] == "started"] == [(1, "started")]
    assert first.to_json(timings=False) == again.to_json(timings=False)
    assert [row.metrics for row in first.rows] == [row.metrics for row in audit(CONFIG).rows]


def test_another_question_wants_another_folder(tmp_path):
    audit_into(CONFIG, tmp_path / "run")
    with pytest.raises(InvalidInput, match=r"holds another configuration: seed differ \(seed: 0 there, 1 asked for\)"):
        audit_into(CONFIG.model_copy(update={"seed": 1}), tmp_path / "run")
    longer = CONFIG.training.model_copy(update={"epochs": CONFIG.training.epochs + 1})
    with pytest.raises(InvalidInput, match=r"training\.epochs differ \(training\.epochs: \d there, \d asked"):
        audit_into(CONFIG.model_copy(update={"training": longer}), tmp_path / "run")


def test_what_other_records_gave_is_set_aside_with_a_word(tmp_path):
    """The table had changed, and the older result went without one."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(60, 3)), columns=list("abc"))
    config = CONFIG.but(source=str(tmp_path / "mine.csv"), target="c")
    told = []
    for change in (0.0, 0.0, 1.0):
        table.assign(a=table["a"] + change).to_csv(tmp_path / "mine.csv", index=False)
        told.append([])
        audit_into(config, tmp_path / "run", watch=lambda event: told[-1].append(event.kind))
    assert ["replaced" in kinds for kinds in told] == [False, False, True]
    assert len(list((tmp_path / "run" / "cells").glob("*.superseded"))) == 2
