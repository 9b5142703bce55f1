import pytest

from leaq.errors import InvalidInput
from leaq.study import run_study
from leaq.study.runner import Rules
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
