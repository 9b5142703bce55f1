import pytest

from leaq.errors import InvalidInput
from leaq.pipeline.cell import AuditConfig
from leaq.study.failures import Failures, by_reason

ONE, OTHER = AuditConfig(source="wine"), AuditConfig(source="wine", seed=1)


def raised(err):
    try:
        raise err
    except Exception as found:
        return found


def test_a_failure_comes_back_with_its_traceback_and_is_forgotten(tmp_path):
    failures = Failures(tmp_path / "failed")
    failures.record(ONE, "wine, seed 0", raised(ValueError("a reason")))
    found = Failures(tmp_path / "failed").of(ONE)
    assert (found.cell, found.reason, found.config) == ("wine, seed 0", "ValueError: a reason", ONE.to_dict())
    assert "in raised" in found.traceback
    assert failures.of(OTHER) is None
    failures.forget(ONE)
    failures.forget(ONE)
    assert list(failures) == []


@pytest.mark.parametrize(
    ("err", "said"),
    [(MemoryError(), "ran out of memory"), (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "fewer models"),
     (InvalidInput("Plain words."), "Plain words."), (KeyError("k"), "'k'")],
)  # fmt: skip
def test_the_reason_says_what_to_do_where_that_is_known(tmp_path, err, said):
    assert said in Failures(tmp_path).record(ONE, "wine", raised(err)).reason


def test_a_damaged_record_counts_as_never_tried(tmp_path):
    failures = Failures(tmp_path)
    failures.record(ONE, "wine", raised(ValueError()))
    failures.record(OTHER, "wine again", raised(ValueError()))
    first, second = sorted(tmp_path.glob("*.json"))
    first.write_bytes(second.read_bytes())
    assert len(list(failures)) == 1
    assert {failures.of(ONE) is None, failures.of(OTHER) is None} == {True, False}


def test_cells_are_grouped_by_their_reason(tmp_path):
    failures = Failures(tmp_path)
    made = [failures.record(cell, cell.digest(), raised(ValueError("x"))) for cell in (ONE, OTHER)]
    assert by_reason(made) == {"ValueError: x": [ONE.digest(), OTHER.digest()]}
