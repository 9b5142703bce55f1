"""Changed numbers of a stage raise its number in `leaq.study.stages`, or stored results would be taken for new ones."""

import json
from pathlib import Path

import pytest

from leaq.study.stages import STAGES
from tests.golden.stages import STAGES as COMPUTED
from tests.golden.stages import defaults
from tests.helpers import require

DEFAULTS = json.loads(Path(__file__).with_name("defaults.json").read_text())
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


def changed(written, now):
    """Options, by dotted path, whose default is another one now; what was added is none of them."""
    for name, value in written.items():
        if isinstance(value, dict):
            yield from (f"{name}.{inner}" for inner in changed(value, now.get(name, {})))
        elif now.get(name, "gone") != value:
            yield name


def test_a_default_changes_only_with_the_number_of_a_stage():
    """Results are keyed by what differs from the defaults, so that those of another default are taken for new ones."""
    assert list(changed(DEFAULTS, defaults())) == [], (
        "Raise the number of the stage that these options belong to in leaq/study/stages.py, and write the defaults "
        "down: python -m tests.golden"
    )


def test_a_changed_default_is_noticed_and_an_added_option_is_not():
    before = {"seed": 0, "training": {"epochs": 30, "lr": 0.1}, "gone": 1}
    now = {"seed": 0, "training": {"epochs": 40, "lr": 0.1, "decay": 0.0}, "judged": 50}
    assert list(changed(before, now)) == ["training.epochs", "gone"]
