"""A little of every attack, each time the tests run; `make attack` does the rest."""

import pytest

from tests.attack.campaigns import CAMPAIGNS, attack
from tests.helpers import require

SLOW = {
    "kills at any file operation": 2, "flips, cuts and swaps in a run folder": 4, "links in a run folder": 3,
    "file operations that fail": 4, "command lines of every verb": 12, "soak: 300 cells in one process": 1,
    "names that are markup, formulas or control characters": 4,
}  # fmt: skip
NEEDS = {"Parquet": "pyarrow", "GGUF": "gguf", "ONNX": "onnx", "SDF": "rdkit", "flips and swaps of embeddings": "rdkit",
         "bombs": "rdkit", "names that are markup, formulas or control characters": "vl_convert"}  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name.startswith(("kills", "soak")) else name for name in CAMPAIGNS],
)
def test_nothing_wrong_and_nothing_raw(name):
    if name in NEEDS:
        require(NEEDS[name])
    outcome = attack(name, trials=SLOW.get(name, 25))
    assert outcome.failures == []
    assert outcome.trials == SLOW.get(name, 25)


def test_a_planted_traceback_a_warning_and_a_wrong_value_are_found(monkeypatch):
    import warnings

    def planted(rng, folder):
        way = int(rng.integers(3))
        if way == 0:
            raise KeyError("raw")
        if way == 1:
            warnings.warn("escaped", stacklevel=1)
        assert way != 2, "silently different"

    monkeypatch.setitem(CAMPAIGNS, "planted", planted)
    outcome = attack("planted", trials=12)
    assert len(outcome.failures) == 12
    assert {text.split(": ")[1].split("(")[0] for text in outcome.failures} == {
        "KeyError", "UserWarning", "AssertionError",
    }  # fmt: skip
