"""The game of calibration: who is in, what the attacker knows, what is found, and what is refused."""

import numpy as np
import pytest
import torch

from leaq.data import load
from leaq.errors import InvalidInput
from leaq.pipeline import audit, audit_samples, calibrating
from leaq.pipeline.calibrating import UNKNOWN, calibrate, calibrations, planned, with_errors
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.planning import Asked
from leaq.pipeline.preparing import prepare
from leaq.pipeline.rows import How
from leaq.pipeline.subjects import Given, heads, subject_of
from leaq.quantizers import Calibration
from leaq.results import CellResult
from leaq.training import TrainingConfig
from leaq.types import AttackResult, Checkpoints, Estimate, LossTable, NotComputed, Samples
from tests.unit.pipeline.cases import table

QUICK = TrainingConfig(hidden=(8,), epochs=2, checkpoints=3, chunk=4)
GPTQ = "gptq(bits=2)"


def config(**options):
    given = {"source": "wine", "game": "calibration", "quantizers": (GPTQ, "sign"), "replicates": 8, "draws": 10}
    return AuditConfig(**{**given, "training": QUICK, "attacks": ("threshold", "lira", "combined"), **options})


@pytest.fixture(scope="module")
def result():
    return audit(config(attacks=("threshold", "lira", "lira(shadows=full_precision)", "combined")))


def test_a_row_each_for_a_known_and_an_unknown_model(result):
    rows = {row.quantizer: row for row in result.rows}
    assert list(rows) == ["none", GPTQ, GPTQ + UNKNOWN, "sign"]
    for spec in (GPTQ, GPTQ + UNKNOWN):
        assert {a.game for a in rows[spec].attacks.values() if isinstance(a, AttackResult)} == {"calibration"}
        assert isinstance(rows[spec].attacks["combined"], AttackResult)
        assert isinstance(rows[spec].drops["roc_auc"], Estimate)
        reference = rows[spec].attacks["lira(shadows=full_precision)"]
        assert isinstance(reference, NotComputed)
        assert reference.reason.startswith("No model in full precision knows the calibration records")
    for spec in ("none", "sign"):
        assert set(rows[spec].attacks.values()) == {
            NotComputed("Looks at no calibration records, so it gives none away.")
        }
    assert next(flag.code for flag in rows[GPTQ].flags) == "known-model"
    assert next(flag.code for flag in rows[GPTQ + UNKNOWN].flags) == "unknown-model"
    more = rows[GPTQ].measures["leak_vs_unknown"]
    leaks = [rows[spec].attacks["combined"].advantage.value for spec in (GPTQ, GPTQ + UNKNOWN)]
    assert more.value == leaks[0] - leaks[1]


def test_each_of_several_targets_has_its_own_numbers_and_attacks_where_records_calibrate(monkeypatch):
    samples, asked = prepare(config(source="cases"), given=Given(data=table(120)))
    monkeypatch.setattr(How, "attacked", lambda self, _context: dict.fromkeys(one.spec() for one in self.attacks))
    found = audit_samples(samples, asked)
    targets = [list(row.by_task) for row in found.rows]
    assert targets == [["task0", "task1", "task2"]] * 4
    assert list(found.rows[1].by_task["task0"].attacks) == ["threshold"]
    assert not found.rows[3].by_task["task0"].attacks


def test_who_holds_full_precision_sees_that_records_looked_at_were_rounded_with_care():
    """A column a layer, of the known model alone: smaller by the records that this calibration looked at."""
    asked = config(quantizers=(GPTQ,), training=QUICK.model_copy(update={"hidden": (16,)}))
    samples, asked = prepare(asked)
    todo = planned(asked, samples)
    found = calibrate(asked, todo, subject_of(asked), which=slice(0, 8))
    known, unknown = (found[spec][0] for spec in (GPTQ, GPTQ + UNKNOWN))
    assert known.whitebox.shape[2] == unknown.whitebox.shape[2] + 2
    first = known.whitebox[:, :, -2]
    inside, outside = (first[kind].mean() for kind in (todo.members, ~todo.members))
    assert inside < outside - 0.1
    assert known.numbers is not None


def test_a_model_that_cannot_be_looked_into_adds_nothing():
    members = np.array([[True, False]])
    table = LossTable(np.ones((1, 1, 2)), members, "regression", "calibration", 1, whitebox=np.ones((1, 2, 2)))
    nothing = Checkpoints({"w": torch.zeros(1, 1)}, {"w": "linear"}, (1,))
    samples = Samples(np.ones((2, 1)), np.ones(2), "regression")
    assert with_errors(table, object(), samples, known=nothing, rounded=nothing) is table


def test_the_result_says_which_game_was_played(result):
    assert result.data["game"] == "calibration"
    assert (result.data["n"], result.data["n_train"]) == (89, 44)
    text = next(flag.text for flag in result.flags if flag.code == "calibration-game")
    assert text.startswith("The game is about calibration: 89 records trained the model")
    assert "unquantized-rest" not in [flag.code for flag in result.flags]
    assert CellResult.from_json(result.to_json()).to_json() == result.to_json()
    assert "calibrated 8 times, each time on 44 of them; the attacker tells which" in str(result)
    assert "the half a quantizer was calibrated on" in str(result)


def test_who_calibrates_trains_nothing_and_one_model_serves_all_calibrations(monkeypatch):
    given, trained = [], []

    class Watched(Calibration):
        def __post_init__(self):
            super().__post_init__()
            given.append(self)

    def watched(samples, members, *args, **options):
        trained.append((samples, members, options["first"]))
        return train(samples, members, *args, **options)

    train = heads.train
    monkeypatch.setattr(calibrating, "Calibration", Watched)
    monkeypatch.setattr(heads, "train", watched)
    audit(config(attacks=("threshold",)))
    assert [(len(members), first) for _, members, first in trained] == [(1, 0), (4, 1), (1, 0), (4, 5)]
    todo = calibrations(config(), load("wine"))
    for samples, members, _ in trained:
        assert members.all()
        assert not set(samples.ids) & set(todo.pool.ids)
    for one in given:  # a half of the pool calibrates, and every record of it
        which = slice(one.first, one.first + 4)
        for rows, members in zip(one.rows, todo.members[which], strict=True):
            assert set(rows) == set(np.flatnonzero(members))


def test_numbers_do_not_depend_on_how_many_calibrations_run_at_a_time(result):
    whole = TrainingConfig.from_dict({**QUICK.to_dict(), "chunk": 8})
    again = audit(config(attacks=("threshold",), training=whole))
    for row, other in zip(result.rows, again.rows, strict=True):
        if isinstance(found := row.attacks["threshold"], AttackResult):
            assert other.attacks["threshold"].advantage.value == pytest.approx(found.advantage.value, abs=0.02)


def test_a_pool_is_no_larger_than_what_quantizers_look_at(monkeypatch):
    monkeypatch.setattr(calibrating, "RECORDS", 20)
    todo = calibrations(config(), load("wine"))
    assert len(todo.pool) <= 40
    assert len(todo.training) + len(todo.pool) == 178


def test_the_other_game_is_planned_as_an_audit():
    assert isinstance(planned(config(game="pool"), load("wine")), Asked)


@pytest.mark.parametrize("quantizers", [("sign",), ("gptq(bits=2, calibrated=elsewhere)",)])
def test_a_quantizer_that_is_calibrated_on_members_is_asked_for(quantizers):
    with pytest.raises(InvalidInput) as refused:
        audit(config(quantizers=quantizers))
    assert str(refused.value) == (
        "The game calibration asks which records a quantizer was calibrated on, so quantizers must name one that is "
        f"calibrated on members. Found {quantizers[0]}. Name one, e.g. gptq(bits=4)."
    )


def test_training_with_differential_privacy_belongs_to_the_other_game():
    with pytest.raises(InvalidInput) as refused:
        audit(config(dp_sgd=("1",)))
    assert str(refused.value) == (
        "Differential privacy in training is compared in the game pool. Found the game calibration, which trains no "
        "model on the records asked about. Leave out dp_sgd."
    )


def test_releases_together_belong_to_the_other_game():
    with pytest.raises(InvalidInput) as refused:
        audit(config(together=("sign + twn",)))
    assert str(refused.value) == (
        "Several releases together are attacked in the game pool. Found the game calibration. Leave out together."
    )
