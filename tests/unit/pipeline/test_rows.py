from dataclasses import replace

import numpy as np
import pytest
from torch import nn

import leaq
from leaq.attacks.calibrated import Calibrated
from leaq.attacks.lira import Lira
from leaq.attacks.rmia import Rmia
from leaq.attacks.threshold import Threshold
from leaq.data import load
from leaq.pipeline import AuditConfig, audit, rows
from leaq.training import TrainingConfig
from leaq.types import AttackResult, Estimate, LossTable


def test_the_finite_sample_leak_is_computed_alike_whoever_trained_the_model(monkeypatch):
    seen, real = [], rows.finite_sample

    def spied(table, *, options, **more):
        seen.append(replace(options, pool=0))  # members of a finished model are no part of a pool
        return real(table, options=options, **more)

    monkeypatch.setattr(rows, "finite_sample", spied)
    training = TrainingConfig(hidden=(8,), epochs=2, checkpoints=4)
    audit(AuditConfig(source="wine", quantizers=("sign",), replicates=4, training=training, attacks=("threshold",)))
    trained, wine = len(seen), load("wine")
    order = np.random.default_rng(0).permutation(len(wine))
    inside, outside = ((wine.inputs[part], wine.targets[part]) for part in (order[:90], order[90:]))
    leaq.audit(nn.Linear(13, 3), members=inside, nonmembers=outside, quantizers=["sign"])
    assert 0 < trained < len(seen)
    assert all(options == seen[0] for options in seen)


def test_every_row_has_the_joint_numbers_and_those_of_each_task(result):
    assert (result.primary_metric, result.data["task"]) == ("skill", "multitask")
    assert [(one["name"], one["task"]) for one in result.data["tasks"]] == [
        ("task0", "classification"), ("task1", "regression"), ("task2", "classification"),
    ]  # fmt: skip
    for row in (*result.rows, *result.references):
        assert isinstance(row.metrics["skill"], Estimate)
        assert set(row.by_task) == {"task0", "task1", "task2"}
        skills = [row.by_task["task1"].metrics["r2"].value]
        skills += [2 * row.by_task[name].metrics["roc_auc"].value - 1 for name in ("task0", "task2")]
        assert row.metrics["skill"].value == pytest.approx(np.mean(skills), abs=1e-9)
        for one in row.by_task.values():
            assert all(isinstance(found, AttackResult) and found.risk is None for found in one.attacks.values())
    assert set(result.rows[1].by_task["task1"].drops) >= {"r2"}


def test_reading_all_labels_finds_more_than_the_best_single_task(result):
    full = result.rows[0]
    blind = "combined(sees=outputs)"
    joint = full.attacks[blind].advantage
    assert joint.low > 0.03
    assert joint.value > max(one.attacks[blind].advantage.value for one in full.by_task.values()) - 0.05


def attacked(rng, shift):
    """16 models, each on half of 300 records of which training moves the margin by `shift`; a few attacks on them."""
    members = rng.random((16, 300)) < 0.5
    members[1::2] = ~members[::2]
    scores = 2 * rng.normal(size=300) + rng.normal(size=(16, 300)) + shift * members
    losses = np.logaddexp(0, -scores)[:, None]
    table = LossTable(losses, members, "classification", "pool", n_train=150, scores=scores)
    attacks = (Threshold(), Lira(), Lira(mode="offline"), Rmia(), Calibrated(normalise=False))
    return {attack.spec(): attack(table) for attack in attacks}


def test_an_attack_that_finds_more_than_the_one_led_with_is_named_with_intervals(rng):
    (flag,) = rows.outdone(attacked(rng, 1.5), "threshold")
    assert "finds more here: +0." in flag.text
    assert flag.text.count("[") == 2
    assert not rows.outdone(attacked(rng, 1.5), "lira")


def test_where_nothing_leaks_the_largest_of_many_estimates_is_not_said_to_find_more():
    said = []
    for seed in range(20):
        found = attacked(np.random.default_rng(seed), 0.0)
        said += [flag.text for name in found for flag in rows.outdone(found, name)]
    assert len(said) > 40
    assert sum("finds more here" in text for text in said) <= 3
    assert "may find more here, not told apart: " in said[0]
