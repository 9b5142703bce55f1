"""Changed numbers of a stage raise its number in `leaq.study.stages`, or stored results would be taken for new ones."""

import json
from pathlib import Path

import pytest

from leaq.study.stages import STAGES
from tests.golden.stages import STAGES as COMPUTED
from tests.helpers import require

WRITTEN = json.loads(Path(__file__).with_name("stages.json").read_text())


def test_every_stage_is_guarded():
    assert list(WRITTEN) == list(STAGES) == list(COMPUTED)
    assert {name: stage["number"] for name, stage in WRITTEN.items()} == dict(STAGES), "python -m tests.golden"


@pytest.mark.parametrize("stage", list(COMPUTED))
def test_a_stage_computes_what_was_written_down(stage):
    if stage == "embed":
        require("rdkit")
    compute, tolerance = COMPUTED[stage]
    found, written = compute(), WRITTEN[stage]["values"]
    assert list(found) == list(written)
    allowed = {"abs": tolerance} if stage == "measure" else {"rel": tolerance}
    for name, value in found.items():
        assert value == pytest.approx(written[name], **allowed), (
            f"{name} of stage {stage!r} is {value}, and was {written[name]}. If that is wanted, raise the stage's "
            "number in leaq/study/stages.py and write the values down: python -m tests.golden"
        )


def test_a_changed_stage_is_noticed(monkeypatch):
    changed = dict(WRITTEN["quantize"]["values"])
    changed["sign"] *= 1.001
    monkeypatch.setitem(WRITTEN["quantize"], "values", changed)
    with pytest.raises(AssertionError, match="raise the stage's number"):
        test_a_stage_computes_what_was_written_down("quantize")
